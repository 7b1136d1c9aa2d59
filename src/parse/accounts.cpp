#include "parse/accounts.hpp"

#include "parse/words.hpp"

namespace surveyd::parse {

std::vector<std::string_view> colon_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const auto end = line.find(':');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

std::optional<std::string> user_name(std::string_view passwd, unsigned uid) {
  const std::string number = std::to_string(uid);
  for (const std::string_view line : lines(passwd)) {
    const auto fields = colon_fields(line);
    if (fields.size() >= 4 && !fields[0].empty() && fields[2] == number)
      return std::string{fields[0]};
  }
  return std::nullopt;
}

// Name and number stand where passwd has them.
std::optional<std::string> group_name(std::string_view group, unsigned gid) {
  return user_name(group, gid);
}

std::optional<std::vector<std::string>> name_services(std::string_view nsswitch,
                                                      std::string_view database) {
  for (std::string_view line : lines(nsswitch)) {
    line = trimmed(line.substr(0, line.find('#')));
    if (!line.starts_with(database)) continue;
    line = trimmed(line.substr(database.size()));
    if (line.starts_with(':')) return words(line.substr(1));
  }
  return std::nullopt;
}

}  // namespace surveyd::parse
