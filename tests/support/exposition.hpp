#pragma once

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace surveyd::test {

/// A text in the Prometheus format, taken apart: values by series, types by family.
struct Exposition {
  std::map<std::string, double> values;
  std::map<std::string, std::string> types;

  explicit Exposition(const std::string& text) {
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) take(line);
  }

  [[nodiscard]] bool has(const std::string& series) const { return values.contains(series); }
  [[nodiscard]] double value(const std::string& series) const {
    const auto found = values.find(series);
    if (found == values.end()) throw std::out_of_range("no series " + series);
    return found->second;
  }
  [[nodiscard]] std::size_t count(const std::string& family) const {
    std::size_t number = 0;
    for (const auto& [series, value] : values)
      number += series == family || series.starts_with(family + "{");
    return number;
  }

 private:
  void take(const std::string& line) {
    if (line.starts_with("# TYPE ")) {
      const auto blank = line.find(' ', 7);
      if (!types.emplace(line.substr(7, blank - 7), line.substr(blank + 1)).second)
        throw std::invalid_argument("family twice: " + line);
    } else if (!line.starts_with('#') && !line.empty()) {
      const auto blank = line.rfind(' ');
      if (!values.emplace(line.substr(0, blank), std::stod(line.substr(blank + 1))).second)
        throw std::invalid_argument("series twice: " + line);
    }
  }
};

}  // namespace surveyd::test
