#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// The fields of a line of the files in `/etc` that are separated by colons; empty ones count.
[[nodiscard]] std::vector<std::string_view> colon_fields(std::string_view line);

/// The name of the first user with this id in the text of `/etc/passwd` (passwd(5)).
[[nodiscard]] std::optional<std::string> user_name(std::string_view passwd, unsigned uid);

/// The name of the first group with this id in the text of `/etc/group` (group(5)).
[[nodiscard]] std::optional<std::string> group_name(std::string_view group, unsigned gid);

/// The words after `database:` in the text of `/etc/nsswitch.conf` (nsswitch.conf(5)), without
/// comments; nothing when there is no such line.
[[nodiscard]] std::optional<std::vector<std::string>> name_services(std::string_view nsswitch,
                                                                    std::string_view database);

}  // namespace surveyd::parse
