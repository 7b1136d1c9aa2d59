#include "http/gzip.hpp"

#include <algorithm>
#include <new>

#include <boost/beast/core/string.hpp>
#include <zlib.h>

namespace surveyd::http {
namespace {

void append_little_endian(std::string& out, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(number >> shift & 0xff);
}

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// "0", "0.0", "0.000": the client does not take it.
bool is_zero_weight(std::string_view parameters) {
  const auto weight = parameters.find("q=");
  if (weight == std::string_view::npos) return false;
  const std::string_view value = trimmed(parameters.substr(weight + 2));
  return value.find_first_not_of("0.") == std::string_view::npos;
}

}  // namespace

Deflated deflate(std::string_view text, Effort effort) {
  constexpr int raw = -MAX_WBITS;  // neither zlib's head nor gzip's
  constexpr int usual_memory = 8;
  z_stream stream{};
  if (::deflateInit2(&stream, effort == Effort::least ? Z_BEST_SPEED : Z_DEFAULT_COMPRESSION,
                     Z_DEFLATED, raw, usual_memory, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc{};
  Deflated result;
  // deflateBound() allows for the last block, and not for the empty one that a flush ends with.
  constexpr std::size_t flush = 16;
  result.bytes.resize(::deflateBound(&stream, text.size()) + flush);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.bytes.data());
  stream.avail_out = static_cast<uInt>(result.bytes.size());
  ::deflate(&stream, Z_FULL_FLUSH);
  result.bytes.resize(stream.total_out);
  ::deflateEnd(&stream);
  result.crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size());
  result.size = static_cast<std::uint32_t>(text.size());
  return result;
}

std::string gzip_of(std::initializer_list<const Deflated*> parts) {
  using namespace std::string_view_literals;
  // Deflate, no flags, no time, no extra flags, Unix.
  std::string out{"\x1f\x8b\x08\0\0\0\0\0\0\x03"sv};
  unsigned long crc = ::crc32_z(0, nullptr, 0);
  std::uint32_t size = 0;
  for (const Deflated* part : parts) {
    out.append(part->bytes);
    crc = ::crc32_combine(crc, part->crc, static_cast<z_off_t>(part->size));
    size += part->size;
  }
  out.append("\x03\0"sv);  // the last block, an empty one
  append_little_endian(out, static_cast<std::uint32_t>(crc));
  append_little_endian(out, size);
  return out;
}

bool accepts_gzip(const Request& request) {
  const HeaderField* accepted = request.find(field::accept_encoding);
  if (accepted == nullptr) return false;
  std::string_view list{accepted->value.data(), accepted->value.size()};
  bool any = false;
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    const std::size_t semicolon = std::min(one.find(';'), one.size());
    const std::string_view coding = trimmed(one.substr(0, semicolon));
    const bool taken = !is_zero_weight(one.substr(semicolon));
    if (boost::beast::iequals({coding.data(), coding.size()}, "gzip")) return taken;
    if (coding == "*") any = taken;
  }
  return any;
}

}  // namespace surveyd::http
