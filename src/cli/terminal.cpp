#include "cli/terminal.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

namespace surveyd::cli {
namespace {

constexpr std::size_t width = 80;

bool no_color_unset() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

}  // namespace

Palette::Palette() : on_(::isatty(STDOUT_FILENO) == 1 && no_color_unset()) {}

std::string Palette::paint(const std::string& text, const char* code) const {
  return on_ ? std::string{"\033["} + code + "m" + text + "\033[0m" : text;
}

std::string Palette::status(Status status, const std::string& padded) const {
  return paint(padded, status == Status::yes ? "32" : status == Status::no ? "31" : "33");
}

std::string Palette::mode(Mode mode) const {
  return paint(to_string(mode), mode == Mode::full              ? "1;32"
                                : mode == Mode::nested_adaptive ? "1;33"
                                                                : "1;31");
}

std::string printable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return result;
}

std::string padded(std::string text, std::size_t size) {
  text.resize(std::max(text.size(), size), ' ');
  return text;
}

void wrapped(std::ostream& out, const std::string& raw, std::size_t indent) {
  const std::string text = printable(raw);
  const std::size_t room = width - indent;
  std::size_t at = 0;
  while (text.size() - at > room) {
    std::size_t end = text.rfind(' ', at + room);
    if (end == std::string::npos || end <= at) end = at + room;
    out << text.substr(at, end - at) << "\n" << std::string(indent, ' ');
    at = text[end] == ' ' ? end + 1 : end;
  }
  out << text.substr(at) << "\n";
}

void print_remedy(std::ostream& out, const Remedy& remedy, std::size_t indent) {
  const std::string margin(indent, ' ');
  out << margin << "-> ";
  wrapped(out, remedy.text, indent + 3);
  if (!remedy.command.empty()) out << margin << "   # " << printable(remedy.command) << "\n";
}

}  // namespace surveyd::cli
