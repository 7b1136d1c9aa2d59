#include "parse/subordinate_ids.hpp"

#include <algorithm>
#include <charconv>

#include "parse/accounts.hpp"
#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

// 4294967295 is (uid_t)-1, no id.
constexpr std::uint64_t end_of_ids = 0xFFFFFFFF;

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

bool overlaps(const SubordinateRange& range, std::uint64_t first, std::uint64_t count) {
  return first < range.first + range.count && range.first < first + count;
}

}  // namespace

std::vector<SubordinateRange> subordinate_ranges(std::string_view text) {
  std::vector<SubordinateRange> ranges;
  for (const std::string_view line : lines(text)) {
    const auto fields = colon_fields(line);
    if (fields.size() != 3 || fields[0].empty()) continue;
    const auto first = number(fields[1]);
    const auto count = number(fields[2]);
    if (!first || !count || *count == 0) continue;
    if (*first >= end_of_ids || *count > end_of_ids - *first) continue;
    ranges.push_back({std::string{fields[0]}, *first, *count});
  }
  return ranges;
}

std::uint64_t ids_of(const std::vector<SubordinateRange>& ranges,
                     const std::optional<std::string>& name, unsigned uid) {
  std::vector<SubordinateRange> own;
  for (const SubordinateRange& range : ranges)
    if (range.owner == name || range.owner == std::to_string(uid)) own.push_back(range);
  std::sort(own.begin(), own.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
  // The same range by name and by number counts once.
  std::uint64_t total = 0;
  std::uint64_t counted_to = 0;
  for (const SubordinateRange& range : own) {
    const std::uint64_t end = range.first + range.count;
    if (end <= counted_to) continue;
    total += end - std::max(range.first, counted_to);
    counted_to = end;
  }
  return total;
}

std::optional<std::uint64_t> free_range(const std::vector<SubordinateRange>& ranges) {
  for (std::uint64_t first = 100000; first + ids_for_containers <= end_of_ids;
       first += ids_for_containers) {
    const auto is_taken = [first](const auto& range) {
      return overlaps(range, first, ids_for_containers);
    };
    if (std::none_of(ranges.begin(), ranges.end(), is_taken)) return first;
  }
  return std::nullopt;
}

}  // namespace surveyd::parse
