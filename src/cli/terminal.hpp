#pragma once

#include <cstddef>
#include <ostream>
#include <string>

#include <surveyd/finding.hpp>
#include <surveyd/mode.hpp>

namespace surveyd::cli {

/// Colours where somebody looks: on a terminal that did not ask for none (no-color.org).
class Palette {
 public:
  Palette();

  [[nodiscard]] std::string paint(const std::string& text, const char* code) const;
  [[nodiscard]] std::string status(Status status, const std::string& padded) const;
  [[nodiscard]] std::string mode(Mode mode) const;

 private:
  bool on_;
};

/// Without bytes that would move the cursor: a cgroup can be named so.
[[nodiscard]] std::string printable(const std::string& text);

[[nodiscard]] std::string padded(std::string text, std::size_t size);

/// Writes `text` from the column `indent` on, where the cursor is, breaking at blanks and, where
/// there is none, anywhere.
void wrapped(std::ostream& out, const std::string& text, std::size_t indent);

/// What helps, each line from the column `indent` on; the command in a line of its own, unbroken,
/// so that it can be pasted.
void print_remedy(std::ostream& out, const Remedy& remedy, std::size_t indent);

}  // namespace surveyd::cli
