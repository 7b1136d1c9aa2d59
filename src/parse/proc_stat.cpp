#include "parse/proc_stat.hpp"

#include <charconv>

#include "parse/words.hpp"

namespace surveyd::parse {

std::optional<ProcessStat> process_stat(std::string_view text) {
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  // After the command: state ppid pgrp session tty_nr tpgid flags …
  constexpr std::size_t flags_at = 6;
  const std::vector<std::string> rest = words(text.substr(close + 1));
  if (rest.size() <= flags_at || rest[0].size() != 1) return std::nullopt;
  ProcessStat stat;
  stat.command = text.substr(open + 1, close - open - 1);
  stat.state = rest[0][0];
  const std::string& flags = rest[flags_at];
  const char* end = flags.data() + flags.size();
  const auto [stop, error] = std::from_chars(flags.data(), end, stat.flags);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return stat;
}

}  // namespace surveyd::parse
