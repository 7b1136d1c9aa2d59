#pragma once

#include <string>

#include <surveyd/error.hpp>

#include "http/response.hpp"

namespace surveyd::http {

// The only place that turns a failure into a status. The body is application/problem+json, its
// `type` is `urn:surveyd:problem:<name>`, one name for each thing that can be wrong.

/// A request that cannot be served as it is: 4xx, or 5xx of the server itself.
[[nodiscard]] Response problem(unsigned status, const std::string& name, std::string detail);

/// An operation that failed: 400 for a bad id, 409 when something is in the way, 501 without a
/// usable cgroup v2, 504 past the deadline, 503 when the kernel refuses for another reason.
[[nodiscard]] Response problem(const Error& error);

}  // namespace surveyd::http
