#include "parse/id_map.hpp"

#include <charconv>

#include "parse/words.hpp"

namespace surveyd::parse {

std::uint64_t mapped_ids(std::string_view id_map) {
  std::uint64_t total = 0;
  for (const std::string_view line : lines(id_map)) {
    // First id inside, first id outside, how many.
    const auto fields = words(line);
    if (fields.size() != 3) continue;
    std::uint32_t count = 0;
    const char* end = fields[2].data() + fields[2].size();
    const auto [stop, error] = std::from_chars(fields[2].data(), end, count);
    if (error == std::errc{} && stop == end) total += count;
  }
  return total;
}

}  // namespace surveyd::parse
