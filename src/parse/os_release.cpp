#include "parse/os_release.hpp"

#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

// Quoted where the value holds blanks; neither key's values hold anything to escape.
std::string_view value_of(std::string_view text, std::string_view key) {
  std::string_view value;
  for (std::string_view line : lines(text)) {
    line = trimmed(line);
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with('=')) continue;
    value = line.substr(key.size() + 1);  // the last one counts, as for a shell
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                        value.back() == value.front();
    if (quoted) value = value.substr(1, value.size() - 2);
  }
  return value;
}

}  // namespace

std::vector<std::string> distributions(std::string_view os_release) {
  std::vector<std::string> names = words(value_of(os_release, "ID"));
  for (std::string& name : words(value_of(os_release, "ID_LIKE"))) names.push_back(std::move(name));
  return names;
}

}  // namespace surveyd::parse
