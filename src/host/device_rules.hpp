#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace surveyd {

/// Why the device rules of a cgroup may forbid what file permissions allow; nothing when it is
/// certain that no rules are there. `cgroup` is the text of a `/proc/<pid>/cgroup`, `mountinfo`
/// that of our own. On cgroup v2 the rules are programs (BPF_CGROUP_DEVICE) that cannot be asked,
/// only counted.
[[nodiscard]] std::optional<std::string> possible_device_rules(std::string_view cgroup,
                                                               std::string_view mountinfo);

}  // namespace surveyd
