#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";

}  // namespace

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  for (auto begin = text.find_first_not_of(white_space); begin != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(white_space, begin), text.size());
    result.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(white_space, end);
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
