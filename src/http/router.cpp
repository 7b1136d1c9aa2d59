#include "http/router.hpp"

#include <array>
#include <string>

#include "http/access.hpp"
#include "http/problem.hpp"
#include "http/rejection.hpp"

namespace surveyd::http {
namespace {

constexpr std::string_view id_mark = "{id}";

constexpr Endpoint of_subject(std::string_view pattern, Task<Response> (*work)(Exchange&)) {
  return {.method = verb::get,
          .pattern = pattern,
          .restricted = true,
          .parameter = "pid",
          .only_with_query = true,
          .work = work};
}

// One that answers only with a query comes before the one without.
constexpr std::array endpoints = {
    of_subject("/capabilities", get_capabilities_of_subject),
    of_subject("/findings", get_findings_of_subject),
    of_subject("/findings/{id}", get_finding_of_subject),
    Endpoint{.method = verb::get, .pattern = "/capabilities", .answer = get_capabilities},
    Endpoint{.method = verb::get, .pattern = "/metrics", .answer = get_metrics},
    Endpoint{.method = verb::get, .pattern = "/healthz", .answer = get_healthz},
    Endpoint{.method = verb::get, .pattern = "/readyz", .answer = get_readyz},
    Endpoint{.method = verb::get,
             .pattern = "/api/v1/daemon/capabilities",
             .answer = get_daemon_capabilities},
    Endpoint{.method = verb::get, .pattern = "/findings", .answer = get_findings},
    Endpoint{.method = verb::get, .pattern = "/findings/{id}", .answer = get_finding},
    Endpoint{.method = verb::get, .pattern = "/changes", .answer = get_changes},
    Endpoint{.method = verb::get, .pattern = "/cgroups", .work = get_cgroups},
    Endpoint{.method = verb::post, .pattern = "/survey", .restricted = true, .work = post_survey},
    Endpoint{.method = verb::post,
             .pattern = "/cgroups/ensure",
             .restricted = true,
             .work = post_cgroups_ensure},
    Endpoint{.method = verb::delete_,
             .pattern = "/cgroups/containers/{id}",
             .restricted = true,
             .parameter = "force",
             .work = delete_container},
    Endpoint{.method = verb::get, .pattern = "/", .answer = get_page},
    Endpoint{.method = verb::get, .pattern = "/style.css", .answer = get_page},
    Endpoint{.method = verb::get, .pattern = "/app.js", .answer = get_page},
    Endpoint{.method = verb::get, .pattern = "/icon.svg", .answer = get_page},
    Endpoint{.method = verb::get, .pattern = "/openapi.json", .answer = get_page},
};

// Nothing when the path does not fit, else what stands for {id}.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with(id_mark))
    return path == pattern ? std::optional{std::string_view{}} : std::nullopt;
  const std::string_view prefix = pattern.substr(0, pattern.size() - id_mark.size());
  if (!path.starts_with(prefix)) return std::nullopt;
  return path.substr(prefix.size());
}

struct Target {
  std::string_view authority;  ///< of an absolute-form target
  std::string_view path;
  std::string_view query;
};

// RFC 9112, 3.2: the origin form, and the absolute form that a server has to take too.
std::optional<Target> parse_target(std::string_view text) {
  Target target;
  constexpr std::string_view scheme = "http://";
  if (text.starts_with(scheme)) {
    text.remove_prefix(scheme.size());
    target.authority = text.substr(0, text.find('/'));
    text.remove_prefix(target.authority.size());
    if (target.authority.empty()) return std::nullopt;
    if (text.empty()) text = "/";
  }
  if (!text.starts_with('/')) return std::nullopt;
  target.path = text.substr(0, text.find('?'));
  if (target.path.size() < text.size()) target.query = text.substr(target.path.size() + 1);
  return target;
}

Response wrong_method(std::string_view path, verb method) {
  std::string allowed;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.only_with_query || !match(endpoint.pattern, path)) continue;
    const std::string name{boost::beast::http::to_string(endpoint.method)};
    allowed += (allowed.empty() ? "" : ", ") + name;
    if (endpoint.method == verb::get) allowed += ", HEAD";
  }
  Response response =
      problem(405, "method-not-allowed",
              "this path does not take " + std::string{boost::beast::http::to_string(method)} +
                  "; it takes " + allowed);
  response.headers = "Allow: " + allowed + "\r\n";
  return response;
}

std::optional<Response> find(Routed& routed, const Target& target, verb method) {
  const std::string_view path = target.path;
  // HEAD is GET without the body, everywhere.
  const verb wanted = method == verb::head ? verb::get : method;
  bool known_path = false;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.only_with_query && target.query.empty()) continue;
    const auto parameter = match(endpoint.pattern, path);
    if (!parameter) continue;
    known_path = true;
    routed.route = endpoint.pattern;
    if (endpoint.method != wanted) continue;
    routed.endpoint = &endpoint;
    routed.parameter = *parameter;
    return std::nullopt;
  }
  if (known_path) return wrong_method(path, method);
  return problem(404, "no-such-route", "there is nothing at this path; GET / shows what there is");
}

// Answered once: whoever sends this is not talking to us, or not HTTP.
Response and_close(Response response) {
  response.close = true;
  return response;
}

// The two forms beside a path that exist belong to methods that nothing here takes (RFC 9112, 3.2.3
// and 3.2.4).
Response refuse_form(const Request& request, const Listener& listener) {
  if (auto refusal = refuse_host(request, listener, {})) return std::move(*refusal);
  const bool is_legal =
      request.method == verb::connect || (request.method == verb::options && request.target == "*");
  if (!is_legal)
    return rejected("malformed", problem(400, "bad-request", "the target has to be a path"));
  Response response = problem(405, "method-not-allowed",
                              "there is nothing here but paths, and GET and HEAD for all of them");
  response.headers = "Allow: GET, HEAD\r\n";
  return response;
}

// At most once the one name that the endpoint knows.
std::optional<Response> check_query(const Endpoint& endpoint, std::string_view query) {
  if (query.empty()) return std::nullopt;
  const std::string_view name = query.substr(0, query.find_first_of("=&"));
  if (endpoint.parameter.empty() || name != endpoint.parameter)
    return problem(400, "unknown-parameter",
                   "unknown query parameter \"" + std::string{name} + "\"" +
                       (endpoint.parameter.empty()
                            ? std::string{}
                            : "; known is \"" + std::string{endpoint.parameter} + "\""));
  if (query.find('&') != std::string_view::npos)
    return problem(400, "unknown-parameter", "there is one query parameter at most here");
  return std::nullopt;
}

std::optional<Response> check(Routed& routed, const Request& request, const Listener& listener,
                              const std::string& unix_socket) {
  const auto target = parse_target(request.target);
  if (!target) return and_close(refuse_form(request, listener));
  if (auto refusal = refuse_host(request, listener, target->authority))
    return and_close(std::move(*refusal));
  if (request.method == verb::unknown)
    return and_close(
        rejected("method", problem(501, "unknown-method", "no resource knows this method")));

  const bool reads = request.method == verb::get || request.method == verb::head;
  // No path of a change needs an escape, and one could hide a separator from somebody before us.
  if (!reads && target->path.find('%') != std::string_view::npos)
    return problem(400, "bad-request", "the path of a change is written without escapes");
  if (auto refusal = find(routed, *target, request.method)) return refusal;
  if (auto refusal = check_query(*routed.endpoint, target->query)) return refusal;
  routed.query = target->query;
  if ((!reads || routed.endpoint->restricted) && listener.transport == Transport::remote)
    return rejected("forbidden",
                    problem(403, "forbidden",
                            "a remote listener serves plain reads only; call surveyd on its own "
                            "machine, at best through its Unix socket " +
                                unix_socket));
  if (routed.endpoint->restricted) return refuse_borrowed(request, unix_socket);
  return std::nullopt;
}

}  // namespace

Routed route(const Request& request, const Listener& listener, const std::string& unix_socket) {
  Routed routed;
  routed.refusal = check(routed, request, listener, unix_socket);
  return routed;
}

}  // namespace surveyd::http
