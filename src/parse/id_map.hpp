#pragma once

#include <cstdint>
#include <string_view>

namespace surveyd::parse {

/// How many ids the text of `/proc/<pid>/uid_map` or `gid_map` (user_namespaces(7)) maps: 2^32 - 1
/// in the initial user namespace.
[[nodiscard]] std::uint64_t mapped_ids(std::string_view id_map);

}  // namespace surveyd::parse
