#include "parse/id_map.hpp"

#include <charconv>

#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

struct Range {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};

bool read(const std::string& text, std::uint32_t& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stop == end;
}

std::vector<Range> ranges(std::string_view id_map) {
  std::vector<Range> all;
  for (const std::string_view line : lines(id_map)) {
    const auto fields = words(line);
    Range range;
    if (fields.size() == 3 && read(fields[0], range.inside) && read(fields[1], range.outside) &&
        read(fields[2], range.count))
      all.push_back(range);
  }
  return all;
}

}  // namespace

std::uint64_t mapped_ids(std::string_view id_map) {
  std::uint64_t total = 0;
  for (const Range& range : ranges(id_map)) total += range.count;
  return total;
}

std::optional<unsigned> id_inside(std::string_view id_map, unsigned outer) {
  for (const Range& range : ranges(id_map))
    if (outer >= range.outside && outer - range.outside < range.count)
      return range.inside + (outer - range.outside);
  return std::nullopt;
}

}  // namespace surveyd::parse
