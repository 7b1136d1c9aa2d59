#include "parse/proc_status.hpp"

#include <charconv>

#include "parse/words.hpp"

namespace surveyd::parse {

std::optional<std::string> status_field(std::string_view text, std::string_view key) {
  for (std::string_view line : lines(text))
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':'))
      return std::string{trimmed(line.substr(key.size() + 1))};
  return std::nullopt;
}

std::optional<std::uint64_t> capability_set(std::string_view hexadecimal) {
  if (hexadecimal.size() > 16) return std::nullopt;
  std::uint64_t set = 0;
  const char* end = hexadecimal.data() + hexadecimal.size();
  const auto [stop, error] = std::from_chars(hexadecimal.data(), end, set, 16);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return set;
}

}  // namespace surveyd::parse
