#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace surveyd::parse {

/// The value of one `Key:` line of `/proc/<pid>/status`, white space trimmed.
[[nodiscard]] std::optional<std::string> status_field(std::string_view text, std::string_view key);

/// A capability set as `CapEff` has it: hexadecimal digits without a prefix, at most 16.
[[nodiscard]] std::optional<std::uint64_t> capability_set(std::string_view hexadecimal);

}  // namespace surveyd::parse
