#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// One line of `/etc/subuid` or `/etc/subgid` (subuid(5)): `owner:first:count`.
struct SubordinateRange {
  std::string owner;  ///< a user's name or number
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// Lines that do not have the form, or reach beyond the last id, are left out, as newuidmap does.
[[nodiscard]] std::vector<SubordinateRange> subordinate_ranges(std::string_view text);

/// How many different ids these lines give to the user, by name (which may be unknown) or number.
[[nodiscard]] std::uint64_t ids_of(const std::vector<SubordinateRange>& ranges,
                                   const std::optional<std::string>& name, unsigned uid);

/// The first id of a range of 65536 that overlaps none of these, in steps of as many from 100000,
/// where useradd(8) begins too. Nothing when none is left.
[[nodiscard]] std::optional<std::uint64_t> free_range(const std::vector<SubordinateRange>& ranges);

/// What one container with ids of its own needs: every id of 16 bits.
inline constexpr std::uint64_t ids_for_containers = 65536;

}  // namespace surveyd::parse
