#include "parse/proc_stat.hpp"

#include <charconv>

#include "parse/words.hpp"

namespace surveyd::parse {
namespace {

template <class Number>
bool read_number(const std::string& word, Number& number) {
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, number);
  return error == std::errc{} && stop == end;
}

}  // namespace

std::optional<ProcessStat> process_stat(std::string_view text) {
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  // After the command: state ppid pgrp session tty_nr tpgid flags … starttime …
  constexpr std::size_t parent_at = 1;
  constexpr std::size_t flags_at = 6;
  constexpr std::size_t start_time_at = 19;
  const std::vector<std::string> rest = words(text.substr(close + 1));
  if (rest.size() <= flags_at || rest[0].size() != 1) return std::nullopt;
  ProcessStat stat;
  stat.command = text.substr(open + 1, close - open - 1);
  stat.state = rest[0][0];
  if (!read_number(rest[parent_at], stat.parent) || !read_number(rest[flags_at], stat.flags))
    return std::nullopt;
  if (rest.size() > start_time_at && !read_number(rest[start_time_at], stat.start_time))
    return std::nullopt;
  return stat;
}

}  // namespace surveyd::parse
