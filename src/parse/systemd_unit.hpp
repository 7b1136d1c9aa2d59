#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace surveyd::parse {

/// The unit of systemd that a cgroup belongs to.
struct SystemdUnit {
  std::string name;      ///< "surveyd.service", "session-2.scope"
  bool of_user = false;  ///< of a user's own manager (`user@1000.service`)

  [[nodiscard]] bool is_service() const { return name.ends_with(".service"); }
};

/// From a path of `/proc/<pid>/cgroup`: the first directory below the slices, and below a user's
/// manager the first one of that. Nothing when the path is none of systemd's, or when the name
/// holds a character that no unit's name has: it goes into commands.
[[nodiscard]] std::optional<SystemdUnit> systemd_unit(std::string_view cgroup_path);

}  // namespace surveyd::parse
