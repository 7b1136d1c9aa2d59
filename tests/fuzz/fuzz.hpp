#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace surveyd::fuzz {

/// Ends the process, which libFuzzer reports with the input, unless it holds.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The first byte chooses one of `count`, a letter from 'a' on in what people write; the rest is
/// what is aimed at.
inline unsigned choose(std::string_view& input, unsigned count) {
  if (input.empty()) return 0;
  const auto chosen = (static_cast<unsigned char>(input.front()) + 256U - 'a') % 256U % count;
  input.remove_prefix(1);
  return chosen;
}

}  // namespace surveyd::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
