#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// With what rights a process acts, as `/proc/<pid>/status` shows them (proc(5)). Ids are in terms
/// of the user namespace of whoever opened the file; those without a mapping there are the overflow
/// id.
struct Credentials {
  std::array<unsigned, 4> uids{};  ///< real, effective, saved, file system
  std::array<unsigned, 4> gids{};
  std::vector<unsigned> groups;  ///< supplementary, as the kernel sorts them

  // Bit n is capability n of linux/capability.h.
  std::uint64_t inheritable = 0;
  std::uint64_t permitted = 0;
  std::uint64_t effective = 0;
  std::uint64_t bounding = 0;
  std::uint64_t ambient = 0;  ///< since Linux 4.3

  std::optional<bool> no_new_privileges;  ///< since Linux 4.10
  std::optional<int> seccomp_mode;        ///< 0 none, 1 strict, 2 filter; only with CONFIG_SECCOMP

  bool operator==(const Credentials&) const = default;

  [[nodiscard]] bool same_ids(const Credentials& other) const {
    return uids == other.uids && gids == other.gids && groups == other.groups;
  }
  /// Whether real, effective and saved uid are all this one: what it means to own a process.
  [[nodiscard]] bool belongs_to(unsigned uid) const {
    return uids[0] == uid && uids[1] == uid && uids[2] == uid;
  }
};

/// Nothing when the text lacks one of the lines that every process has: a kernel thread has them
/// too.
[[nodiscard]] std::optional<Credentials> credentials(std::string_view status);

/// The value of one variable of a `/proc/<pid>/environ`, whose entries end with NUL. Nothing when
/// it is not set there.
[[nodiscard]] std::optional<std::string_view> environment_variable(std::string_view environ,
                                                                   std::string_view name);

/// The path of a process in the v1 hierarchy of this controller, from `/proc/<pid>/cgroup`.
[[nodiscard]] std::optional<std::string_view> cgroup_v1_path(std::string_view text,
                                                             std::string_view controller);

}  // namespace surveyd::parse
