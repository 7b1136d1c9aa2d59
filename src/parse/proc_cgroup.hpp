#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace surveyd::parse {

/// The cgroup v2 path of a process from the text of `/proc/<pid>/cgroup`: what follows `0::`, white
/// space trimmed. The path may itself hold colons. Nothing without such a line or a path.
[[nodiscard]] std::optional<std::string> cgroup_v2_path(std::string_view text);

/// What a path of `/proc/<pid>/cgroup` says about itself.
struct CgroupPathTraits {
  bool is_root = false;            ///< "/": the root of the reader's cgroup namespace
  bool outside_namespace = false;  ///< "/../…": not below the reader's cgroup namespace root
  bool deleted = false;            ///< the kernel appends " (deleted)" to a removed cgroup
};

[[nodiscard]] CgroupPathTraits cgroup_path_traits(std::string_view path);

}  // namespace surveyd::parse
