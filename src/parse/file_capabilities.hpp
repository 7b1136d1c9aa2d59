#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace surveyd::parse {

/// The extended attribute `security.capability` of a program (capabilities(7)).
struct FileCapabilities {
  std::uint64_t permitted = 0;
  bool effective = false;  ///< the program runs with them, instead of having to raise them
  /// The user id, in the reader's terms, that is root of the user namespaces where they count.
  std::uint32_t root = 0;

  [[nodiscard]] bool gives(int capability) const {
    return effective && (permitted >> capability & 1) != 0;
  }
};

/// Revisions 2 and 3 of `struct vfs_cap_data` (linux/capability.h); nothing for any other, among
/// them the revision 1 that nobody has written since Linux 2.6.25.
[[nodiscard]] std::optional<FileCapabilities> file_capabilities(std::string_view attribute);

}  // namespace surveyd::parse
