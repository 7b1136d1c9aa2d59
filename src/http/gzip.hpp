#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "http/request.hpp"

namespace surveyd::http {

/// Text that is compressed once and can be part of many gzip bodies.
struct Deflated {
  std::string bytes;       ///< whole deflate blocks (RFC 1951), none of them the last one
  unsigned long crc = 0;   ///< CRC-32 of the text
  std::uint32_t size = 0;  ///< of the text
};

enum class Effort { least, usual };

/// Throws std::bad_alloc.
[[nodiscard]] Deflated deflate(std::string_view text, Effort effort);

/// One gzip member (RFC 1952) of the texts behind each other.
[[nodiscard]] std::string gzip_of(std::initializer_list<const Deflated*> parts);

/// Whether the client can read gzip (RFC 9110, 12.5.3). Without Accept-Encoding the answer is no:
/// such clients seldom can.
[[nodiscard]] bool accepts_gzip(const Request& request);

}  // namespace surveyd::http
