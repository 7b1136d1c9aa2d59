// What a request asks for: the target, the fields that decide who asks, and the route. The first
// byte chooses method and listener, the first line is the target, further ones are fields.

#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include <surveyd/container_id.hpp>

#include "fuzz.hpp"
#include "http/router.hpp"
#include "http/strictness.hpp"

namespace surveyd::http {

// The router only takes their addresses.
Response get_page(Exchange&) {
  std::abort();
}
Response get_capabilities(Exchange&) {
  std::abort();
}
Response get_daemon_capabilities(Exchange&) {
  std::abort();
}
Response get_findings(Exchange&) {
  std::abort();
}
Response get_finding(Exchange&) {
  std::abort();
}
Response get_changes(Exchange&) {
  std::abort();
}
Response get_metrics(Exchange&) {
  std::abort();
}
Response get_healthz(Exchange&) {
  std::abort();
}
Response get_readyz(Exchange&) {
  std::abort();
}
Task<Response> get_capabilities_of_subject(Exchange&) {
  std::abort();
}
Task<Response> get_findings_of_subject(Exchange&) {
  std::abort();
}
Task<Response> get_finding_of_subject(Exchange&) {
  std::abort();
}
Task<Response> get_cgroups(Exchange&) {
  std::abort();
}
Task<Response> post_survey(Exchange&) {
  std::abort();
}
Task<Response> post_cgroups_ensure(Exchange&) {
  std::abort();
}
Task<Response> delete_container(Exchange&) {
  std::abort();
}

}  // namespace surveyd::http

namespace surveyd::fuzz {
namespace {

using http::Listener;
using http::Request;
using http::Routed;
using http::Transport;
using http::verb;

constexpr std::array methods = {"GET", "HEAD", "POST",    "DELETE",
                                "PUT", "BREW", "OPTIONS", "CONNECT"};
const std::array listeners = {
    Listener{Transport::loopback, "http://127.0.0.1:9847", {"127.0.0.1:9847", "localhost:9847"}},
    Listener{Transport::unix_socket, "unix:/run/surveyd.sock", {}},
    Listener{Transport::remote, "http://192.0.2.1:9847", {}}};
const std::string unix_socket = "/run/surveyd/surveyd.sock";

std::string head_of(const char* method, std::string_view input) {
  const std::string_view target = input.substr(0, input.find('\n'));
  std::string head = std::string{method} + " " + std::string{target} + " HTTP/1.1\r\n";
  bool has_host = false;
  while (input.size() > target.size() && input.find('\n') != std::string_view::npos) {
    input.remove_prefix(input.find('\n') + 1);
    const std::string_view field = input.substr(0, input.find('\n'));
    if (field.empty()) break;
    has_host = has_host || field.starts_with("Host:");
    head += std::string{field} + "\r\n";
  }
  return head + (has_host ? "\r\n" : "Host: localhost:9847\r\n\r\n");
}

bool has_field_like(const Request& request, std::string_view prefix) {
  for (const http::HeaderField& field : request) {
    std::string name{field.name};
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

void check_refusal(const http::Response& refusal) {
  require(refusal.status >= 400 && refusal.status < 600, "a refusal has a status of one");
  const auto body = nlohmann::json::parse(refusal.body, nullptr, false);
  require(body.is_object() && body.contains("type") && body.at("status") == refusal.status,
          "a refusal says why");
  std::string_view headers = refusal.headers;
  while (!headers.empty()) {
    const auto end = headers.find("\r\n");
    require(end != std::string_view::npos && end > 0, "headers are whole lines");
    for (const char c : headers.substr(0, end))
      require(c >= 0x20 && c < 0x7f, "a header that is sent is visible ASCII");
    headers.remove_prefix(end + 2);
  }
}

void check_endpoint(const Routed& routed, const Request& request, const Listener& listener) {
  require(routed.endpoint != nullptr, "without a refusal there is somebody to answer");
  const http::Endpoint& endpoint = *routed.endpoint;
  const bool reads = request.method == verb::get || request.method == verb::head;
  require(endpoint.method == (reads ? verb::get : request.method), "the method is the endpoint's");
  require((endpoint.answer == nullptr) != (endpoint.work == nullptr), "one handler answers");

  std::string_view target = request.target;
  if (target.starts_with("http://")) {
    target.remove_prefix(7);
    const std::string_view authority = target.substr(0, target.find('/'));
    require(listener.hosts.empty() || authority.size() == listener.hosts[0].size() ||
                authority.size() == listener.hosts[1].size(),
            "an absolute target is this server's");
    target.remove_prefix(authority.size());
    if (target.empty()) target = "/";
  }
  const std::string_view path = target.substr(0, target.find('?'));
  if (endpoint.pattern.ends_with("{id}"))
    require(std::string{endpoint.pattern.substr(0, endpoint.pattern.size() - 4)} +
                    std::string{routed.parameter} ==
                path,
            "the pattern with its parameter is the path");
  else
    require(endpoint.pattern == path && routed.parameter.empty(), "the pattern is the path");

  require(routed.query.empty() || routed.query.starts_with(endpoint.parameter),
          "a query has a name that is known");
  require(routed.query.find('&') == std::string_view::npos, "there is one query parameter");
  require(routed.query.empty() || !endpoint.parameter.empty(), "a query is known");

  if (!reads) require(path.find('%') == std::string_view::npos, "a change has no escapes");
  if (!reads || endpoint.restricted)
    require(listener.transport != Transport::remote, "a remote listener serves plain reads");
  if (endpoint.restricted)
    for (const char* mark : {"origin", "referer", "cookie", "sec-fetch-", "x-forwarded-",
                             "forwarded", "via", "x-real-ip", "access-control-request-"}) {
      const bool whole_name = std::string_view{mark}.back() != '-';
      if (!whole_name) require(!has_field_like(request, mark), "no browser or proxy changes");
    }
  if (endpoint.restricted)
    for (const auto known : {http::field::origin, http::field::referer, http::field::cookie,
                             http::field::forwarded, http::field::via})
      require(request.find(known) == nullptr, "no browser or proxy changes anything");

  if (request.method == verb::delete_)
    if (const auto id = ContainerId::parse(routed.parameter))
      require(id->str() == routed.parameter && id->str().find('/') == std::string::npos,
              "a container id names one directory");
}

void check(std::string_view input) {
  const unsigned chosen = choose(input, methods.size() * listeners.size());
  const Listener& listener = listeners[chosen / methods.size()];
  const std::string head = head_of(methods[chosen % methods.size()], input);
  if (http::violation_in_head(head)) return;
  Request request;
  http::RequestParser parser{request, {}};
  boost::system::error_code error;
  (void)parser.parse(head, error);
  if (error || !parser.is_header_done()) return;

  const Routed routed = http::route(request, listener, unix_socket);
  // It becomes a label: it must not come from the client.
  require(routed.route.data() < head.data() || routed.route.data() >= head.data() + head.size(),
          "the name of a route is our own");
  if (routed.refusal)
    check_refusal(*routed.refusal);
  else
    check_endpoint(routed, request, listener);
}

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  surveyd::fuzz::check(surveyd::fuzz::text_of(data, size));
  return 0;
}
