#pragma once

#include <cstdlib>
#include <filesystem>

namespace surveyd::test {

/// Where the test inputs are that are not part of the project; empty when nobody said.
inline std::filesystem::path corpora() {
  const char* folder = std::getenv("SURVEYD_CORPORA");
  return folder != nullptr ? folder : "";
}

inline constexpr const char* no_corpora = "SURVEYD_CORPORA does not name the folder of corpora";

}  // namespace surveyd::test
