#include "http/handlers.hpp"

#include <functional>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <spdlog/spdlog.h>

#include "host/process_usage.hpp"
#include "http/audit.hpp"
#include "http/gzip.hpp"
#include "http/on_worker.hpp"
#include "http/page.hpp"
#include "http/problem.hpp"
#include "http/rejection.hpp"
#include "json/documents.hpp"
#include "json/requests.hpp"

namespace surveyd::http {
namespace {

constexpr std::string_view content_security_policy =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

std::string_view content_type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".json")) return "application/json";
  return "image/svg+xml";
}

// Where no survey can be shown.
Response nothing_to_show(const Service& service) {
  const auto& current = service.surveyor.current();
  if (current && current->failure) return problem(*current->failure);
  Response response = problem(503, "not-ready", "the first survey has not finished yet");
  response.headers = "Retry-After: 1\r\n";
  return response;
}

// The last survey that can be shown; null without one.
const Snapshot* shown(const Service& service) {
  const auto& current = service.surveyor.current();
  return current && !current->failure ? current.get() : nullptr;
}

template <class T>
struct Change {
  Verdict verdict;
  std::optional<Result<T>> result;
};

// What follows from a change that was made.
template <class T>
using Conclude = std::function<void(const T& result)>;

// Asks who calls and, if they may, does the change, both on the worker that owns the tree: the
// answer to the one is still true when the other begins. Without `act` only asks. Nothing when it
// took too long; `done_late` hears of a change that was made all the same.
template <class T>
Task<std::optional<Change<T>>> change(Exchange& exchange, std::function<Result<T>(CgroupTree&)> act,
                                      Conclude<T> done_late) {
  Service& service = exchange.service;
  std::function<Change<T>()> job = [&access = service.access, &tree = service.cgroups.tree,
                                    caller = exchange.caller, act = std::move(act)] {
    Change<T> change{access.may_mutate(caller), {}};
    if (change.verdict.allowed && act) change.result = act(tree);
    return change;
  };
  std::function<void(Change<T>&)> late = [record = audit_record(exchange),
                                          done_late = std::move(done_late)](Change<T>& done) {
    record(done.verdict);
    if (done_late && done.result && *done.result) done_late(**done.result);
  };
  auto done = co_await on_worker<Change<T>>(
      service.cgroups.worker, service.limits.operation_deadline, std::move(job), std::move(late));
  if (done) audit_record(exchange)(done->verdict);
  co_return done;
}

Response bad_request(const json::BadBody& bad) {
  Response response = problem(400, "bad-request", bad.detail);
  return bad.is_too_deep ? rejected("json_depth", std::move(response)) : response;
}

const char* result_label(const Response& response) {
  if (response.status < 400) return "ok";
  if (response.status < 500) return "refused";
  return "failed";
}

// The answer to a change that did not come off; nothing when it did.
template <class T>
std::optional<Response> failure_of(const Exchange& exchange, const char* operation,
                                   const std::optional<json::BadBody>& bad,
                                   const std::optional<Change<T>>& done) {
  if (!done) return problem(too_late(operation));
  if (!done->verdict.allowed) return forbidden(exchange, done->verdict);
  if (bad) return bad_request(*bad);
  if (!*done->result) return problem(done->result->error());
  return std::nullopt;
}

// The one course of every change of the tree: who, then the request, then the outcome.
template <class T>
Task<std::optional<Change<T>>> change_unless(Exchange& exchange,
                                             const std::optional<json::BadBody>& bad,
                                             std::function<Result<T>(CgroupTree&)> act,
                                             Conclude<T> done_late = {}) {
  // Whoever may not learns no more than that, whatever else is wrong.
  if (bad) act = nullptr;
  Task<std::optional<Change<T>>> work = change<T>(exchange, std::move(act), std::move(done_late));
  co_return co_await std::move(work);
}

void warn_of_single_writer(const EnsureReport& report) {
  static bool warned = false;
  if (report.placement != Placement::host || warned) return;
  warned = true;
  spdlog::warn(
      "{} lies outside of any unit that systemd delegated: systemd may withdraw controllers from "
      "it at any time; each survey looks, and POST /cgroups/ensure repairs it",
      report.container_parent);
}

}  // namespace

Response ok(std::string body) {
  Response response;
  response.body = std::move(body);
  return response;
}

Error too_late(const char* operation) {
  Error error{.code = Fault::timed_out, .op = operation};
  error.detail = "the kernel has not finished it within the deadline; it may still take effect";
  return error;
}

std::function<void(const Verdict&)> audit_record(const Exchange& exchange) {
  return [transport = exchange.caller.listener->label(),
          method = std::string{exchange.request.method_text}, route = exchange.route,
          subject = exchange.subject](const Verdict& verdict) {
    audit({verdict.allowed, verdict.uid, transport, method, route, subject, verdict.why});
  };
}

Response forbidden(const Exchange& exchange, const Verdict& verdict) {
  std::string detail = verdict.why;
  if (exchange.caller.listener->transport == Transport::unix_socket)
    detail += "; root and the user that surveyd runs as may";
  else if (exchange.service.unix_socket.empty())
    detail += "; run the call as root on this machine";
  else
    detail += "; run the call as root, at best through the Unix socket: curl --unix-socket " +
              exchange.service.unix_socket;
  return rejected("forbidden", problem(403, "forbidden", detail));
}

Task<std::optional<Response>> refuse_reader(Exchange& exchange) {
  Service& service = exchange.service;
  // Who is a proxy's or a browser's caller may not read here either. Over a remote listener, where
  // the proxies are, what it carries counts.
  if (exchange.caller.listener->transport != Transport::remote)
    if (auto refusal = refuse_borrowed(exchange.request, service.unix_socket))
      co_return std::move(*refusal);
  std::function<Verdict()> job = [&access = service.cgroups.readers, caller = exchange.caller] {
    return access.may_read(caller);
  };
  const auto verdict = co_await on_worker<Verdict>(
      service.cgroups.reader, service.limits.operation_deadline, std::move(job));
  if (!verdict) co_return problem(too_late("read"));
  if (!verdict->allowed) co_return forbidden(exchange, *verdict);
  co_return std::nullopt;
}

void Service::publish(const Surveyor::Published& snapshot) {
  rarely_asked.clear();
  survey_metrics.reset();
  if (snapshot->failure) {
    capabilities.reset();
    daemon_capabilities.reset();
    return;
  }
  if (!snapshot->survey.run.stale) surveyed_at = std::chrono::steady_clock::now();
  capabilities = make_document("application/json", snapshot->documents.capabilities);
  daemon_capabilities = make_document("application/json", snapshot->documents.daemon_capabilities);
}

std::shared_ptr<const Document> Service::document_of(std::string_view path,
                                                     const std::string& text) {
  if (const auto known = rarely_asked.find(path); known != rarely_asked.end()) return known->second;
  return rarely_asked.emplace(path, make_document("application/json", text)).first->second;
}

void Service::load_page() {
  for (const PageFile& file : page_files()) {
    const std::string path = file.name == "index.html" ? "/" : "/" + std::string{file.name};
    page[path] =
        make_document(content_type_of(file.name), std::string{file.bytes}, content_security_policy);
  }
}

Response get_page(Exchange& exchange) {
  return respond_with(exchange.service.page.find(exchange.route)->second, exchange.request);
}

Response get_capabilities(Exchange& exchange) {
  const auto& document = exchange.service.capabilities;
  return document ? respond_with(document, exchange.request) : nothing_to_show(exchange.service);
}

Response get_daemon_capabilities(Exchange& exchange) {
  const auto& document = exchange.service.daemon_capabilities;
  return document ? respond_with(document, exchange.request) : nothing_to_show(exchange.service);
}

Response get_findings(Exchange& exchange) {
  const Snapshot* current = shown(exchange.service);
  if (current == nullptr) return nothing_to_show(exchange.service);
  return respond_with(exchange.service.document_of(exchange.route, current->documents.findings),
                      exchange.request);
}

Response get_finding(Exchange& exchange) {
  const Snapshot* current = shown(exchange.service);
  if (current == nullptr) return nothing_to_show(exchange.service);
  const auto& texts = current->documents.finding;
  const auto text = texts.find(exchange.parameter);
  if (text == texts.end())
    return problem(404, "no-such-finding",
                   "there is no finding of this name; GET /findings shows all");
  return respond_with(exchange.service.document_of("/findings/" + text->first, text->second),
                      exchange.request);
}

Response get_changes(Exchange& exchange) {
  const Snapshot* current = shown(exchange.service);
  if (current == nullptr) return nothing_to_show(exchange.service);
  return respond_with(exchange.service.document_of(exchange.route, current->documents.changes),
                      exchange.request);
}

Response get_metrics(Exchange& exchange) {
  Service& service = exchange.service;
  const auto& current = service.surveyor.current();
  const std::string_view of_survey = current ? current->documents.metrics : std::string_view{};
  const std::string counters =
      service.counters.text(process_cpu_seconds(), service.cgroups.reaper.pending_count());
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.headers = "Vary: Accept-Encoding\r\n";
  if (accepts_gzip(exchange.request)) {
    if (!service.survey_metrics) service.survey_metrics = deflate(of_survey, Effort::usual);
    const Deflated rest = deflate(counters, Effort::least);
    response.body = gzip_of({&*service.survey_metrics, &rest});
    response.headers += "Content-Encoding: gzip\r\n";
    return response;
  }
  response.body.reserve(of_survey.size() + counters.size());
  response.body.append(of_survey).append(counters);
  return response;
}

Response get_healthz(Exchange&) {
  return ok(json::health("ok"));
}

namespace {

// Whatever the reason is: who is not ready is asked again.
Response not_ready(const Service& service) {
  const auto& current = service.surveyor.current();
  if (!current || !current->failure) return nothing_to_show(service);
  Response response = problem(503, "not-ready", to_string(*current->failure));
  response.headers = "Retry-After: 1\r\n";
  return response;
}

}  // namespace

Response get_readyz(Exchange& exchange) {
  const Snapshot* current = shown(exchange.service);
  if (current == nullptr) return not_ready(exchange.service);
  const auto age = std::chrono::steady_clock::now() - exchange.service.surveyed_at;
  if (age < 3 * current->survey.run.interval) return ok(json::health("ready"));
  Response response = problem(503, "not-ready", "the last survey is older than three intervals");
  response.headers = "Retry-After: 1\r\n";
  return response;
}

Task<Response> get_cgroups(Exchange& exchange) {
  Service& service = exchange.service;
  // Rendered there as well: ten thousand containers are a long text.
  std::function<Result<std::string>()> job =
      [&tree = service.cgroups.readable,
       removing = service.cgroups.reaper.pending()]() -> Result<std::string> {
    const auto list = tree.list_containers();
    if (!list) return list.error();
    return json::containers(*list, removing);
  };
  const auto text = co_await on_worker<Result<std::string>>(
      service.cgroups.reader, service.limits.operation_deadline, std::move(job));
  if (!text) co_return problem(too_late("list"));
  if (!*text) co_return problem(text->error());
  co_return ok(**text);
}

Task<Response> post_survey(Exchange& exchange) {
  Service& service = exchange.service;
  const auto done = co_await change<bool>(exchange, nullptr, nullptr);
  if (!done) co_return problem(too_late("survey"));
  if (!done->verdict.allowed) co_return forbidden(exchange, done->verdict);
  const auto body = json::survey_request(exchange.request.body, service.limits.json_levels);
  if (!body) co_return bad_request(body.error());
  if (body->verify && service.verifications == nullptr)
    co_return problem(
        400, "bad-request",
        "nothing can be verified on behalf of another process, which is what is surveyed here");

  const auto executor = co_await boost::asio::this_coro::executor;
  const auto finished = std::make_shared<Timer>(executor);
  finished->expires_after(service.limits.operation_deadline);
  const auto surveyed = std::make_shared<bool>(false);
  const auto failure = std::make_shared<std::optional<Error>>();
  std::function<void(const Error*)> wake = [finished, surveyed, failure](const Error* error) {
    if (error != nullptr) *failure = *error;
    *surveyed = true;
    finished->cancel();
  };
  if (body->verify)
    service.verifications->verify(wake);
  else
    service.surveyor.survey([wake](const auto&) { wake(nullptr); });
  // It may be there already, when nothing could be begun.
  if (!*surveyed) co_await finished->async_wait(completion);
  if (!*surveyed) co_return problem(too_late(body->verify ? "verify" : "survey"));
  if (*failure) co_return problem(**failure);
  if (!service.capabilities) co_return nothing_to_show(exchange.service);
  Response response;
  response.document = service.capabilities;
  co_return response;
}

Task<Response> post_cgroups_ensure(Exchange& exchange) {
  Service& service = exchange.service;
  const auto body = json::ensure_request(exchange.request.body, service.limits.json_levels);
  std::optional<json::BadBody> bad;
  json::EnsureRequest asked;
  if (body)
    asked = *body;
  else
    bad = body.error();
  std::function<Result<EnsureReport>(CgroupTree&)> act = [asked](CgroupTree& tree) {
    return tree.ensure(asked.placement, asked.evacuate);
  };
  Conclude<EnsureReport> conclude = [&service](const EnsureReport& report) {
    warn_of_single_writer(report);
    if (service.ensured) service.ensured(report);
    // Nobody should have to wait for the timer to see what is delegated now.
    if (report.changed) service.surveyor.survey();
  };
  const auto done = co_await change_unless<EnsureReport>(exchange, bad, std::move(act), conclude);
  Response response;
  if (auto failure = failure_of(exchange, "ensure", bad, done)) {
    response = std::move(*failure);
  } else {
    conclude(**done->result);
    response = ok(json::ensured(**done->result));
  }
  service.counters.cgroup_operation("ensure", result_label(response));
  co_return response;
}

namespace {

Task<Response> remove_if_empty(Exchange& exchange, ContainerId id,
                               std::optional<json::BadBody> bad) {
  std::function<Result<Removal>(CgroupTree&)> act = [id](CgroupTree& tree) {
    return tree.remove_container(id);
  };
  const auto done = co_await change_unless<Removal>(exchange, bad, std::move(act));
  auto failure = failure_of(exchange, "remove", bad, done);
  Response response = failure ? std::move(*failure) : ok(json::removal(**done->result));
  exchange.service.counters.cgroup_operation("remove", result_label(response));
  co_return response;
}

// A removal by force that goes on after its first step, and whoever waits for its end.
struct PendingRemoval {
  Timer finished;
  std::uint64_t inode = 0;
  std::optional<Result<Removal>> outcome;
  bool given_up = false;  ///< the caller has got another answer

  void finish(const ContainerId& id, const Result<Removal>& result, metrics::Counters& counters) {
    outcome = result;
    finished.cancel();
    if (!given_up) return;
    counters.cgroup_operation("reap", result ? "ok" : "failed");
    if (result)
      spdlog::info("container {} is removed now", id.str());
    else
      spdlog::warn("container {} is not removed: {}", id.str(), to_string(result.error()));
  }
};

Response outcome_of(const PendingRemoval& pending) {
  const Result<Removal>& outcome = *pending.outcome;
  return outcome ? ok(json::removal(*outcome)) : problem(outcome.error());
}

// Until the reaper has done it, or the caller has waited long enough; the reaper goes on then.
Task<Response> await_removal(Exchange& exchange, ContainerId id,
                             std::shared_ptr<PendingRemoval> pending) {
  Service& service = exchange.service;
  pending->finished.expires_after(service.limits.removal_deadline);
  if (!pending->outcome) co_await pending->finished.async_wait(completion);
  if (pending->outcome) co_return outcome_of(*pending);

  std::function<Error()> job = [&tree = service.cgroups.tree, id, inode = pending->inode] {
    return tree.explain_remnant(id, inode);
  };
  const auto remnant = co_await on_worker<Error>(service.cgroups.worker,
                                                 service.limits.operation_deadline, std::move(job));
  // It may have ended while that was asked.
  if (pending->outcome) co_return outcome_of(*pending);
  pending->given_up = true;
  co_return problem(remnant ? *remnant : too_late("remove"));
}

Task<Response> remove_by_force(Exchange& exchange, ContainerId id,
                               std::optional<json::BadBody> bad) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto pending = std::make_shared<PendingRemoval>(PendingRemoval{Timer{executor}, 0, {}});
  // What has been killed is the reaper's from then on, whether or not the caller still waits.
  std::function<Result<RemovalStep>(CgroupTree&)> act =
      [id, executor, pending, &reaper = exchange.service.cgroups.reaper,
       &counters = exchange.service.counters](CgroupTree& tree) {
        auto step = tree.remove_container_by_force(id);
        if (step && !step->done)
          boost::asio::post(executor, [id, pending, &reaper, &counters, step = *step] {
            pending->inode = step.inode;
            reaper.adopt(id, step, [id, pending, &counters](const Result<Removal>& outcome) {
              pending->finish(id, outcome, counters);
            });
          });
        return step;
      };
  const auto done = co_await change_unless<RemovalStep>(exchange, bad, std::move(act));
  Response response;
  if (auto failure = failure_of(exchange, "remove", bad, done)) {
    pending->given_up = true;
    response = std::move(*failure);
  } else if (const RemovalStep& step = **done->result; step.done) {
    response = ok(json::removal(*step.done));
  } else {
    Task<Response> rest = await_removal(exchange, id, pending);
    response = co_await std::move(rest);
  }
  exchange.service.counters.cgroup_operation("force_remove", result_label(response));
  co_return response;
}

}  // namespace

Task<Response> delete_container(Exchange& exchange) {
  const auto id = ContainerId::parse(exchange.parameter);
  if (!id) co_return problem(id.error());
  std::optional<json::BadBody> bad;
  if (const auto body =
          json::no_request(exchange.request.body, exchange.service.limits.json_levels);
      !body)
    bad = body.error();
  const bool force = exchange.query == "force=true";
  exchange.subject = id->str() + (force ? " force" : "");
  if (!force && !exchange.query.empty() && exchange.query != "force=false")
    bad = json::BadBody{"the value of force has to be true or false"};
  Task<Response> work =
      force ? remove_by_force(exchange, *id, bad) : remove_if_empty(exchange, *id, bad);
  co_return co_await std::move(work);
}

}  // namespace surveyd::http
