#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace surveyd::parse {

/// How many ids the text of `/proc/<pid>/uid_map` or `gid_map` (user_namespaces(7)) maps: 2^32 - 1
/// in the initial user namespace.
[[nodiscard]] std::uint64_t mapped_ids(std::string_view id_map);

/// The id that a process below this map has for `outer` of whoever reads it; nothing without one.
[[nodiscard]] std::optional<unsigned> id_inside(std::string_view id_map, unsigned outer);

}  // namespace surveyd::parse
