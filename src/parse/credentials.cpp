#include "parse/credentials.hpp"

#include <charconv>
#include <string>

#include "parse/proc_status.hpp"
#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

template <class Number>
bool read(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stop == end;
}

bool read_ids(std::string_view status, const char* key, std::array<unsigned, 4>& ids) {
  const auto line = status_field(status, key);
  if (!line) return false;
  const std::vector<std::string> words = parse::words(*line);
  if (words.size() != ids.size()) return false;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!read(words[i], ids[i])) return false;
  return true;
}

bool read_groups(std::string_view status, std::vector<unsigned>& groups) {
  const auto line = status_field(status, "Groups");
  if (!line) return false;
  for (const std::string& word : words(*line)) {
    unsigned group = 0;
    if (!read(word, group)) return false;
    groups.push_back(group);
  }
  return true;
}

bool read_set(std::string_view status, const char* key, std::uint64_t& set) {
  const auto line = status_field(status, key);
  const auto value = line ? capability_set(*line) : std::nullopt;
  set = value.value_or(0);
  return value.has_value();
}

std::optional<int> number_of(std::string_view status, const char* key) {
  const auto line = status_field(status, key);
  int number = 0;
  return line && read(*line, number) ? std::optional{number} : std::nullopt;
}

}  // namespace

std::optional<Credentials> credentials(std::string_view status) {
  Credentials found;
  const bool whole =
      read_ids(status, "Uid", found.uids) && read_ids(status, "Gid", found.gids) &&
      read_groups(status, found.groups) && read_set(status, "CapInh", found.inheritable) &&
      read_set(status, "CapPrm", found.permitted) && read_set(status, "CapEff", found.effective) &&
      read_set(status, "CapBnd", found.bounding);
  if (!whole) return std::nullopt;
  (void)read_set(status, "CapAmb", found.ambient);
  if (const auto set = number_of(status, "NoNewPrivs")) found.no_new_privileges = *set == 1;
  found.seccomp_mode = number_of(status, "Seccomp");
  return found;
}

std::optional<std::string_view> environment_variable(std::string_view environ,
                                                     std::string_view name) {
  while (!environ.empty()) {
    const auto end = environ.find('\0');
    const std::string_view entry = environ.substr(0, end);
    if (entry.starts_with(name) && entry.substr(name.size()).starts_with('='))
      return entry.substr(name.size() + 1);
    if (end == std::string_view::npos) break;
    environ.remove_prefix(end + 1);
  }
  return std::nullopt;
}

// "5:devices:/system.slice"; a hierarchy may have several controllers: "4:cpu,cpuacct:/".
std::optional<std::string_view> cgroup_v1_path(std::string_view text, std::string_view controller) {
  for (const std::string_view line : lines(text)) {
    const auto first = line.find(':');
    if (first == std::string_view::npos) continue;
    const auto second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view names = line.substr(first + 1, second - first - 1);
    while (!names.empty()) {
      const auto comma = names.find(',');
      if (names.substr(0, comma) == controller) return line.substr(second + 1);
      if (comma == std::string_view::npos) break;
      names.remove_prefix(comma + 1);
    }
  }
  return std::nullopt;
}

}  // namespace surveyd::parse
