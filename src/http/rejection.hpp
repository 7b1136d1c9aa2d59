#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "http/response.hpp"

namespace surveyd::http {

/// Every `reason` of surveyd_http_rejected_total: a limit that was reached, a deadline that passed,
/// or a rule that was broken.
inline constexpr std::array<std::string_view, 23> rejections = {
    "body_timeout",  "body_too_large",    "browser",         "busy",
    "connections",   "descriptors",       "expectation",     "forbidden",
    "head_timeout",  "head_too_large",    "idle_timeout",    "json_depth",
    "malformed",     "media_type",        "method",          "proxy",
    "request_count", "request_too_large", "target_too_long", "tls_handshake",
    "version",       "write_timeout",     "wrong_host"};

/// `response` as the answer to what was rejected for `reason`.
[[nodiscard]] inline Response rejected(std::string_view reason, Response response) {
  response.rejection = reason;
  return response;
}

}  // namespace surveyd::http
