#include "http/response.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>

#include <boost/beast/http/status.hpp>

namespace surveyd::http {
namespace {

// On every answer: no other page may read or embed it, and its type is what it says.
constexpr std::string_view protection =
    "X-Content-Type-Options: nosniff\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

// RFC 9110, 5.6.7. Formatted once a second; all answers are made in one thread.
std::string_view date_line() {
  static std::time_t formatted_at = 0;
  static std::array<char, 48> text;
  static std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != formatted_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    // The day and month names have to be English; the process never leaves the "C" locale.
    size = std::strftime(text.data(), text.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    formatted_at = now;
  }
  return {text.data(), size};
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_entity_head(std::string& out, std::string_view content_type, std::size_t size) {
  out.append("Content-Type: ").append(content_type).append("\r\nContent-Length: ");
  append_number(out, size);
  out.append("\r\n");
}

// FNV-1a: the tag tells versions of one resource apart; it guards nothing.
std::string tag_of(std::string_view body) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : body) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), hash, 16).ptr;
  return '"' + std::string(digits.data(), end) + '"';
}

bool lists_tag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (one.starts_with("W/")) one.remove_prefix(2);  // compared weakly: RFC 9110, 13.1.2
    if (one == tag || one == "*") return true;
  }
  return false;
}

}  // namespace

std::shared_ptr<const Document> make_document(std::string_view content_type, std::string body,
                                              std::string_view headers) {
  auto document = std::make_shared<Document>();
  document->etag = tag_of(body);
  document->validators.append(protection).append(headers);
  document->validators.append("Cache-Control: no-cache\r\nETag: ").append(document->etag);
  document->validators.append("\r\n");
  append_entity_head(document->head, content_type, body.size());
  document->head.append(document->validators);
  document->body = std::move(body);
  return document;
}

Response respond_with(const std::shared_ptr<const Document>& document, const Request& request) {
  Response response;
  response.document = document;
  const HeaderField* known = request.find(field::if_none_match);
  if (known != nullptr && lists_tag(known->value, document->etag)) response.status = 304;
  return response;
}

void append(std::string& out, const Response& response, const Request& request, bool keep_alive) {
  if (response.status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
  } else {
    out.append("HTTP/1.1 ");
    append_number(out, response.status);
    const auto reason = boost::beast::http::obsolete_reason(
        static_cast<boost::beast::http::status>(response.status));
    out.append(" ").append(reason.data(), reason.size()).append("\r\n");
  }
  out.append(date_line());
  if (!keep_alive)
    out.append("Connection: close\r\n");
  else if (request.version == 10)
    out.append("Connection: keep-alive\r\n");

  std::string_view body;
  if (response.document && response.status == 304) {
    out.append(response.document->validators);
  } else if (response.document) {
    out.append(response.document->head);
    body = response.document->body;
  } else {
    append_entity_head(out, response.content_type, response.body.size());
    out.append(protection).append("Cache-Control: no-store\r\n").append(response.headers);
    body = response.body;
  }
  out.append("\r\n");
  if (request.method != verb::head) out.append(body);
}

}  // namespace surveyd::http
