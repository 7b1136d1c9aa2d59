#pragma once

#include <optional>
#include <string_view>

#include "http/handlers.hpp"

namespace surveyd::http {

/// One method of one path. Exactly one of the two handlers is set.
struct Endpoint {
  verb method;
  std::string_view pattern;  ///< a path, or one that ends in "{id}"
  /// Only for those who may: no browsers, no proxies, no remote listener, and each decision is
  /// told.
  bool restricted = false;
  std::string_view parameter{};  ///< the one query parameter that it knows, if any
  bool only_with_query = false;  ///< another endpoint answers without one
  Response (*answer)(Exchange&) = nullptr;
  Task<Response> (*work)(Exchange&) = nullptr;
};

/// What becomes of a request once its head is there, before any of its body is read.
struct Routed {
  const Endpoint* endpoint = nullptr;
  std::string_view route = "unmatched";  ///< the pattern, as metrics name it
  std::string_view parameter;            ///< what stands for `{id}`
  std::string_view query;                ///< as in the target, with a name that the endpoint knows
  std::optional<Response> refusal;       ///< the answer, when there is nothing to handle
};

[[nodiscard]] Routed route(const Request& request, const Listener& listener,
                           const std::string& unix_socket);

}  // namespace surveyd::http
