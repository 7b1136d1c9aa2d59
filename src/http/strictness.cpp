#include "http/strictness.hpp"

#include <algorithm>
#include <array>

#include <boost/beast/core/string.hpp>

namespace surveyd::http {
namespace {

using Violation = std::optional<std::string_view>;

bool same(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// RFC 9110, 5.6.2.
constexpr bool is_token_character(char c) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         others.find(c) != std::string_view::npos;
}

constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Visible ASCII.
constexpr bool is_target_character(char c) {
  return c > 0x20 && c < 0x7f;
}

// Visible characters, blanks, and bytes beyond ASCII, which are opaque.
constexpr bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}

Violation check_request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return "the request line is not a method, a target and a version";
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(line.substr(0, first))) return "the method is not a token";
  if (target.empty() || !std::all_of(target.begin(), target.end(), is_target_character))
    return "the target holds a blank, a control character or a byte beyond ASCII";
  return {};
}

// The fields of which two would let two readers choose differently.
struct Singles {
  struct Single {
    std::string_view name;
    int count = 0;
    std::string_view value;
  };
  std::array<Single, 6> all = {{{"Host"},
                                {"Content-Length"},
                                {"Transfer-Encoding"},
                                {"Origin"},
                                {"Authorization"},
                                {"Expect"}}};

  Violation add(std::string_view name, std::string_view value) {
    for (Single& single : all) {
      if (!same(name, single.name)) continue;
      if (++single.count > 1) return "a field that may be there once is there twice";
      single.value = value;
    }
    return {};
  }
  const Single& operator[](std::size_t index) const { return all[index]; }
};
constexpr std::size_t host = 0;
constexpr std::size_t content_length = 1;
constexpr std::size_t transfer_encoding = 2;

Violation check_field(std::string_view line, Singles& singles) {
  if (is_blank(line.front())) return "a header line is folded";
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return "the name of a header is not a token followed by a colon";
  std::string_view value = line.substr(colon + 1);
  if (!std::all_of(value.begin(), value.end(), is_value_character))
    return "the value of a header holds a control character";
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  return singles.add(line.substr(0, colon), value);
}

Violation check_framing(const Singles& singles, bool http_1_0) {
  if (!http_1_0 && singles[host].count == 0) return "HTTP/1.1 needs a Host header";
  // Optional white space behind it would be legal; nobody's client sends it, and a comparison that
  // trims is one that can be fooled.
  if (const auto& value = singles[host].value; !value.empty() && is_blank(value.back()))
    return "the Host header ends in a blank";
  const auto trimmed = [](std::string_view value) {
    while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
    return value;
  };
  const bool has_length = singles[content_length].count > 0;
  const std::string_view length = trimmed(singles[content_length].value);
  if (has_length && (length.empty() || !std::all_of(length.begin(), length.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; })))
    return "the Content-Length is not a number";
  if (singles[transfer_encoding].count == 0) return {};
  if (has_length) return "both Content-Length and Transfer-Encoding are given";
  if (http_1_0) return "HTTP/1.0 knows no Transfer-Encoding";
  if (!same(trimmed(singles[transfer_encoding].value), "chunked"))
    return "the only Transfer-Encoding is chunked";
  return {};
}

}  // namespace

std::optional<std::string_view> violation_in_head(std::string_view head) {
  Singles singles;
  bool http_1_0 = false;
  for (bool first = true;; first = false) {
    const auto end = head.find('\r');
    if (end == std::string_view::npos || end + 1 >= head.size() || head[end + 1] != '\n')
      return "a carriage return stands alone";
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.find('\n') != std::string_view::npos) return "a line feed stands alone";
    if (line.empty()) break;
    if (first) http_1_0 = line.ends_with("HTTP/1.0");
    if (const Violation found = first ? check_request_line(line) : check_field(line, singles))
      return found;
  }
  return check_framing(singles, http_1_0);
}

std::string_view host_in_head(std::string_view head) {
  constexpr std::string_view name = "Host:";
  for (auto end = head.find("\r\n"); end != std::string_view::npos; end = head.find("\r\n")) {
    head.remove_prefix(end + 2);
    if (!same(head.substr(0, name.size()), name)) continue;
    std::string_view value = head.substr(name.size(), head.find('\r') - name.size());
    while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
    while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
    return value;
  }
  return {};
}

}  // namespace surveyd::http
