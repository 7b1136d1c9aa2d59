#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// Splits at white space, as in `cgroup.controllers`. Whole words: `cpu` is not in `cpuset`.
[[nodiscard]] std::vector<std::string> words(std::string_view text);

/// "cpu, memory".
[[nodiscard]] std::string joined(const std::vector<std::string>& words);

/// The lines of `text` without their line ends; a last line without one counts.
[[nodiscard]] std::vector<std::string_view> lines(std::string_view text);

/// `text` without white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace surveyd::parse
