#include "parse/words.hpp"

#include <algorithm>

namespace surveyd::parse {
namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";

}  // namespace

std::vector<std::string> words(std::string_view text) {
  const auto is_space = [](char c) { return white_space.find(c) != std::string_view::npos; };
  std::vector<std::string> result;
  for (const char *at = text.begin(), *end = text.end(); at != end;) {
    const char* const begin = std::find_if_not(at, end, is_space);
    at = std::find_if(begin, end, is_space);
    if (begin != at) result.emplace_back(begin, at);
  }
  return result;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const auto end = text.find('\n');
    result.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return result;
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace surveyd::parse
