#include "run/subject_survey.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace surveyd::run {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr unsigned attempts = 3;
constexpr milliseconds patience_with_the_killed{500};
constexpr std::string_view all_told = "end";
constexpr std::string_view failed = "error\t";
constexpr const char* any = "-";

template <class Number>
bool read(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stop == end && !text.empty();
}

template <class Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : any;
}

template <class Number>
bool read_optional(const std::string& text, std::optional<Number>& number) {
  if (text == any) return true;
  Number value{};
  if (!read(text, value)) return false;
  number = value;
  return true;
}

// What separates the fields, and lines, is no part of them.
std::string one_field(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\t' || c == '\n'; }, ' ');
  return text;
}

std::string number_of(const std::error_code& code) {
  return (errno_name(code).empty() ? "fault " : "errno ") + std::to_string(code.value());
}

bool read_code(std::string_view text, std::error_code& code) {
  constexpr std::string_view fault = "fault ";
  constexpr std::string_view from_kernel = "errno ";
  int value = 0;
  if (text.starts_with(fault) && read(text.substr(fault.size()), value))
    code = make_error_code(static_cast<Fault>(value));
  else if (text.starts_with(from_kernel) && read(text.substr(from_kernel.size()), value))
    code = {value, std::generic_category()};
  return static_cast<bool>(code);
}

milliseconds left_until(steady_clock::time_point end) {
  return std::max(std::chrono::ceil<milliseconds>(end - steady_clock::now()), milliseconds{0});
}

}  // namespace

std::vector<std::string> arguments_of(const SubjectOrder& order) {
  std::vector<std::string> arguments = {
      survey_task,          std::to_string(order.pid), text_of(order.start_time),
      text_of(order.owner), order.plan.name,           order.plan.base};
  arguments.insert(arguments.end(), order.storage.begin(), order.storage.end());
  return arguments;
}

std::optional<SubjectOrder> subject_order_of(std::span<const std::string> arguments) {
  constexpr std::size_t fixed = 6;
  if (arguments.size() < fixed || arguments[0] != survey_task) return std::nullopt;
  SubjectOrder order;
  if (!read(arguments[1], order.pid) || !read_optional(arguments[2], order.start_time) ||
      !read_optional(arguments[3], order.owner))
    return std::nullopt;
  order.plan = ContainerPlan{.name = arguments[4], .base = arguments[5]};
  const auto rest = arguments.subspan(fixed);
  order.storage.assign(rest.begin(), rest.end());
  return order;
}

std::string last_line_of(const Result<void>& outcome) {
  if (outcome) return std::string{all_told};
  const Error& error = outcome.error();
  return std::string{failed} + number_of(error.code) + "\t" + one_field(error.op) + "\t" +
         one_field(error.path) + "\t" + one_field(error.detail);
}

std::optional<Result<void>> outcome_of(std::string_view line) {
  if (line == all_told) return Result<void>{};
  if (!line.starts_with(failed)) return std::nullopt;
  line.remove_prefix(failed.size());
  const auto next = [&line] {
    const auto tab = line.find('\t');
    const std::string_view field = line.substr(0, tab);
    line = tab == std::string_view::npos ? std::string_view{} : line.substr(tab + 1);
    return field;
  };
  Error error;
  if (!read_code(next(), error.code)) return std::nullopt;
  error.op = next();
  error.path = next();
  error.detail = next();
  return Result<void>{std::move(error)};
}

Result<Findings> SubjectSurveyor::listen(HelperProcess& helper, steady_clock::time_point end) {
  std::vector<Finding> findings;
  while (true) {
    const auto line = helper.read_line(left_until(end));
    if (!line) return line.error();
    if (!*line) return os_error(EPIPE, "read", "the helper's output");
    if (const auto outcome = outcome_of(**line)) {
      if (!*outcome) return outcome->error();
      return Findings{std::move(findings)};
    }
    auto finding = decode_(**line);
    if (!finding) return os_error(EBADMSG, "read", "the helper's output");
    findings.push_back(std::move(*finding));
  }
}

Result<Findings> SubjectSurveyor::attempt(const SubjectOrder& order, steady_clock::time_point end) {
  unreaped_.remove_if([](HelperProcess& one) { return one.wait(milliseconds{0}).has_value(); });
  std::unique_lock lock{mutex_};
  if (cancelled_) return os_error(ECANCELED, "survey");
  auto helper = HelperProcess::start(arguments_of(order));
  if (!helper) return helper.error();
  running_ = &*helper;
  lock.unlock();
  auto findings = listen(*helper, end);
  lock.lock();
  running_ = nullptr;
  lock.unlock();

  // All has been said: it only has to end.
  if (!findings) helper->kill();
  auto status = helper->wait(patience_with_the_killed);
  if (!status) {
    helper->kill();
    status = helper->wait(patience_with_the_killed);
  }
  if (!findings && findings.error().code == std::errc::broken_pipe && status) {
    Error error = findings.error();
    error.detail = "the surveying process " + describe_end(*status);
    findings = error;
  }
  if (!status) unreaped_.push_back(std::move(*helper));
  return findings;
}

Result<Findings> SubjectSurveyor::survey(const SubjectOrder& order, milliseconds deadline) {
  const auto end = steady_clock::now() + deadline;
  for (unsigned left = attempts - 1;; --left) {
    auto findings = attempt(order, end);
    const bool changed =
        !findings && findings.error().code == std::errc::resource_unavailable_try_again;
    if (!changed || left == 0) return findings;
  }
}

void SubjectSurveyor::cancel() {
  const std::lock_guard lock{mutex_};
  cancelled_ = true;
  if (running_ != nullptr) running_->kill();
}

}  // namespace surveyd::run
