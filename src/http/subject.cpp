// The documents about another process, made when somebody asks for them.

#include <charconv>

#include "host/pinned_process.hpp"
#include "http/handlers.hpp"
#include "http/on_worker.hpp"
#include "http/problem.hpp"
#include "json/documents.hpp"
#include "json/findings.hpp"

namespace surveyd::http {
namespace {

constexpr int most_pid = 1 << 22;  // include/linux/threads.h: PID_MAX_LIMIT

std::optional<int> pid_of(std::string_view query) {
  constexpr std::string_view name = "pid=";
  if (!query.starts_with(name)) return std::nullopt;
  const std::string_view digits = query.substr(name.size());
  constexpr std::size_t most_digits = 7;
  int pid = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, pid);
  const bool good = error == std::errc{} && stop == end && digits.size() <= most_digits &&
                    digits.front() != '-' && pid >= 1 && pid <= most_pid;
  return good ? std::optional{pid} : std::nullopt;
}

/// One of the few questions at a time, for as long as its job lives.
class Ticket {
 public:
  explicit Ticket(std::shared_ptr<std::atomic<unsigned>> open) : open_(std::move(open)) {}
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { --*open_; }

 private:
  std::shared_ptr<std::atomic<unsigned>> open_;
};

std::shared_ptr<Ticket> take_ticket(const Subjects& subjects, unsigned most) {
  if (++*subjects.open <= most) return std::make_shared<Ticket>(subjects.open);
  --*subjects.open;
  return nullptr;
}

struct Answer {
  Verdict verdict;
  std::optional<Result<Survey>> survey;
};

// On the worker.
Answer ask(Subjects& subjects, const Caller& caller, int pid, std::chrono::milliseconds deadline) {
  const auto process = PinnedProcess::pin(pid);
  run::SubjectOrder order{.pid = pid,
                          .start_time = {},
                          .owner = {},
                          .storage = subjects.storage,
                          .plan = {.name = subjects.plan.name, .base = subjects.plan.base}};
  const auto owns = [&order, &process](unsigned uid) {
    if (!process) return false;
    const auto credentials = process->credentials();
    if (!credentials || !credentials->belongs_to(uid)) return false;
    order.owner = uid;
    return true;
  };
  Answer answer{subjects.access.may_ask(caller, owns), {}};
  if (!answer.verdict.allowed) return answer;
  if (!process) {
    answer.survey = process.error();
    return answer;
  }
  order.start_time = process->start_time();
  SurveyRun run;
  run.surveyed_at = std::chrono::system_clock::now();
  run.subject = "pid " + std::to_string(pid);
  const auto begun = std::chrono::steady_clock::now();
  auto findings = subjects.surveyor.survey(order, deadline);
  run.duration = std::chrono::steady_clock::now() - begun;
  answer.survey = findings ? Result<Survey>{conclude(std::move(*findings), run)}
                           : Result<Survey>{findings.error()};
  return answer;
}

Response too_many() {
  Response response =
      problem(503, "busy", "other processes are being asked about; a few callers at a time may");
  response.headers = "Retry-After: 1\r\n";
  return response;
}

Response refused(const Error& error) {
  // It was the caller's when the question was allowed.
  if (error.code == std::errc::operation_not_permitted && error.op == "survey")
    return problem(403, "forbidden", error.detail);
  Response response = problem(error);
  if (error.code == std::errc::resource_unavailable_try_again)
    response.headers = "Retry-After: 1\r\n";
  return response;
}

using Render = std::function<Response(const Survey&)>;

// The course of all three: the request, then who, then the survey.
Task<Response> answer_about_subject(Exchange& exchange, Render render) {
  Service& service = exchange.service;
  const auto pid = pid_of(exchange.query);
  if (!pid)
    co_return problem(400, "bad-request",
                      "pid has to be a number from 1 to " + std::to_string(most_pid));
  exchange.subject = "pid " + std::to_string(*pid);
  if (service.subjects == nullptr) co_return too_many();
  auto ticket = take_ticket(*service.subjects, service.limits.subject_questions);
  if (!ticket) co_return too_many();
  std::function<Answer()> job = [ticket = std::move(ticket), &subjects = *service.subjects,
                                 caller = exchange.caller, pid = *pid,
                                 deadline = service.limits.subject_deadline] {
    return ask(subjects, caller, pid, deadline);
  };
  std::function<void(Answer&)> late = [record = audit_record(exchange)](Answer& answer) {
    record(answer.verdict);
  };
  const auto answer = co_await on_worker<Answer>(
      service.subjects->worker, service.limits.operation_deadline, std::move(job), std::move(late));
  if (!answer) co_return problem(too_late("survey"));
  audit_record(exchange)(answer->verdict);
  if (!answer->verdict.allowed) co_return forbidden(exchange, answer->verdict);
  if (!*answer->survey) co_return refused(answer->survey->error());
  co_return render(**answer->survey);
}

}  // namespace

Task<Response> get_capabilities_of_subject(Exchange& exchange) {
  Render render = [](const Survey& survey) { return ok(json::capabilities(survey)); };
  Task<Response> answer = answer_about_subject(exchange, std::move(render));
  co_return co_await std::move(answer);
}

Task<Response> get_findings_of_subject(Exchange& exchange) {
  Render render = [](const Survey& survey) { return ok(json::findings(survey)); };
  Task<Response> answer = answer_about_subject(exchange, std::move(render));
  co_return co_await std::move(answer);
}

Task<Response> get_finding_of_subject(Exchange& exchange) {
  Render render = [id = std::string{exchange.parameter}](const Survey& survey) {
    const Finding* finding = survey.findings.find(id);
    if (finding != nullptr) return ok(json::finding(*finding));
    return problem(404, "no-such-finding",
                   "there is no finding of this name; GET /findings shows all");
  };
  Task<Response> answer = answer_about_subject(exchange, std::move(render));
  co_return co_await std::move(answer);
}

}  // namespace surveyd::http
