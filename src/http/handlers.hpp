#pragma once

#include <functional>
#include <optional>
#include <string>

#include "http/peer.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/service.hpp"
#include "http/task.hpp"

namespace surveyd::http {

/// One request on its way to its answer.
struct Exchange {
  Service& service;
  const Request& request;
  Caller caller;
  std::string_view route;      ///< the pattern, for metrics and the audit
  std::string_view parameter;  ///< what stands for `{id}` in the pattern
  std::string_view query;      ///< `name=value`, or empty
  std::string subject{};       ///< what a change is about, for the audit
};

// What handlers answer with.
[[nodiscard]] Response ok(std::string body);
[[nodiscard]] Error too_late(const char* operation);
/// Puts a decision about this request into the log; it can outlive the request.
[[nodiscard]] std::function<void(const Verdict&)> audit_record(const Exchange& exchange);
[[nodiscard]] Response forbidden(const Exchange& exchange, const Verdict& verdict);

/// The refusal to a caller who may not even read; nothing for one who may.
[[nodiscard]] Task<std::optional<Response>> refuse_reader(Exchange& exchange);

// One function a route. Those that answer from what is ready return a Response; those that wait for
// a worker are coroutines.
[[nodiscard]] Response get_page(Exchange& exchange);
[[nodiscard]] Response get_capabilities(Exchange& exchange);
[[nodiscard]] Response get_daemon_capabilities(Exchange& exchange);
[[nodiscard]] Response get_findings(Exchange& exchange);
[[nodiscard]] Response get_finding(Exchange& exchange);
[[nodiscard]] Response get_changes(Exchange& exchange);
[[nodiscard]] Response get_metrics(Exchange& exchange);
[[nodiscard]] Response get_healthz(Exchange& exchange);
[[nodiscard]] Response get_readyz(Exchange& exchange);
// The same routes with `?pid=`: of another process.
[[nodiscard]] Task<Response> get_capabilities_of_subject(Exchange& exchange);
[[nodiscard]] Task<Response> get_findings_of_subject(Exchange& exchange);
[[nodiscard]] Task<Response> get_finding_of_subject(Exchange& exchange);
[[nodiscard]] Task<Response> get_cgroups(Exchange& exchange);
[[nodiscard]] Task<Response> post_survey(Exchange& exchange);
[[nodiscard]] Task<Response> post_cgroups_ensure(Exchange& exchange);
[[nodiscard]] Task<Response> delete_container(Exchange& exchange);

}  // namespace surveyd::http
