#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// One line of `/proc/<pid>/mountinfo` (proc(5)), octal escapes undone.
struct Mount {
  std::string root;          ///< the directory of the file system that is mounted
  std::string mount_point;   ///< where, in the reader's view
  std::string_view options;  ///< of this mount; within the text, like all that has no escapes
  std::string_view type;     ///< of the file system
  std::string source;
  std::string_view super_options;
};

/// In the order of the text, so a later mount over the same point comes later. Lines that do not
/// have the form are left out.
[[nodiscard]] std::vector<Mount> mountinfo(std::string_view text);
/// The text has to outlive the mounts.
template <std::same_as<std::string> Text>
std::vector<Mount> mountinfo(Text&& text) = delete;

/// The mount that is on top at exactly this mount point, or null.
[[nodiscard]] const Mount* mount_at(const std::vector<Mount>& mounts, std::string_view point);

}  // namespace surveyd::parse
