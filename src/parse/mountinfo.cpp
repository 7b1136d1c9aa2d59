#include "parse/mountinfo.hpp"

#include <algorithm>

#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

constexpr bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// The kernel writes blank, tab, newline and backslash as \ooo (fs/proc_namespace.c, mangle()).
std::string unescaped(std::string_view text) {
  if (text.find('\\') == std::string_view::npos) return std::string{text};
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// At single blanks, so that an empty source stays a field: any other white space is part of a name.
void split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  while (true) {
    const auto end = line.find(' ');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

}  // namespace

std::vector<Mount> mountinfo(std::string_view text) {
  const std::vector<std::string_view> all = lines(text);
  std::vector<Mount> mounts;
  mounts.reserve(all.size());
  std::vector<std::string_view> fields;
  for (const std::string_view line : all) {
    split(line, fields);
    // Six fixed fields, any number of optional ones, "-", then type, source, super options.
    if (fields.size() < 9) continue;
    const auto dash = std::find(fields.begin() + 6, fields.end(), "-");
    if (fields.end() - dash < 3) continue;
    mounts.push_back({.root = unescaped(fields[3]),
                      .mount_point = unescaped(fields[4]),
                      .options = fields[5],
                      .type = dash[1],
                      .source = unescaped(dash[2]),
                      .super_options = fields.end() - dash > 3 ? dash[3] : std::string_view{}});
  }
  return mounts;
}

const Mount* mount_at(const std::vector<Mount>& mounts, std::string_view point) {
  const auto found = std::find_if(mounts.rbegin(), mounts.rend(), [point](const Mount& mount) {
    return mount.mount_point == point;
  });
  return found == mounts.rend() ? nullptr : &*found;
}

}  // namespace surveyd::parse
