#include "run/verifier.hpp"

#include <cerrno>
#include <charconv>
#include <utility>

namespace surveyd::run {
namespace {

using std::chrono::milliseconds;

// The helper keeps its deadlines itself. This much later it is taken for stuck: time for its start,
// for killing what hangs, and for tidying up, on a busy machine.
constexpr milliseconds grace{8000};
constexpr milliseconds patience_with_the_killed{500};

std::optional<milliseconds> milliseconds_of(const std::string& text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return milliseconds{count};
}

// Whatever the helper did not come to.
void fill_up(std::vector<Verification>& all, const std::vector<std::string>& ids, ReasonCode code,
             const std::string& reason) {
  while (all.size() < ids.size()) {
    const Finding none = no_answer(ids[all.size()], code, reason);
    all.push_back({none, none});
  }
}

}  // namespace

std::vector<std::string> arguments_of(const VerificationOrder& order) {
  std::vector<std::string> arguments = {verify_task,
                                        std::to_string(order.deadline.count()),
                                        order.may_load_modules ? "load-modules" : "load-nothing",
                                        order.plan.name,
                                        order.plan.base,
                                        std::to_string(order.storage.size())};
  arguments.insert(arguments.end(), order.storage.begin(), order.storage.end());
  arguments.insert(arguments.end(), order.ids.begin(), order.ids.end());
  return arguments;
}

std::optional<VerificationOrder> order_of(std::span<const std::string> arguments) {
  constexpr std::size_t fixed = 6;
  if (arguments.size() < fixed || arguments[0] != verify_task) return std::nullopt;
  VerificationOrder order;
  const auto deadline = milliseconds_of(arguments[1]);
  const auto paths = milliseconds_of(arguments[5]);
  if (!deadline || !paths || paths->count() < 0) return std::nullopt;
  const auto count = static_cast<std::size_t>(paths->count());
  if (arguments.size() - fixed < count) return std::nullopt;
  order.deadline = *deadline;
  order.may_load_modules = arguments[2] == "load-modules";
  order.plan = ContainerPlan{.name = arguments[3], .base = arguments[4]};
  const auto rest = arguments.subspan(fixed);
  order.storage.assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count));
  order.ids.assign(rest.begin() + static_cast<std::ptrdiff_t>(count), rest.end());
  return order;
}

Finding no_answer(const std::string& id, ReasonCode code, std::string reason) {
  Finding finding;
  finding.id = id;
  finding.code = code;
  finding.reason = std::move(reason);
  finding.failed = true;
  finding.checked_at = finding.changed_at = std::chrono::system_clock::now();
  return finding;
}

Result<Finding> Verifier::next_finding(HelperProcess& helper, const std::string& id,
                                       milliseconds limit) {
  const auto line = helper.read_line(limit);
  if (!line) return line.error();
  if (!*line) return os_error(EPIPE, "read", "the helper's output");
  auto finding = decode_(**line);
  if (!finding || finding->id != id) return os_error(EBADMSG, "read", "the helper's output");
  return std::move(*finding);
}

Result<std::vector<Verification>> Verifier::verify(const VerificationOrder& order) {
  unreaped_.remove_if([](HelperProcess& one) { return one.wait(milliseconds{0}).has_value(); });
  if (order.ids.empty()) return std::vector<Verification>{};
  std::unique_lock lock{mutex_};
  if (cancelled_) return os_error(ECANCELED, "verify");
  auto helper = HelperProcess::start(arguments_of(order));
  if (!helper) return helper.error();
  running_ = &*helper;
  lock.unlock();

  std::vector<Verification> all;
  std::optional<Error> failure;
  for (const std::string& id : order.ids) {
    auto claim = next_finding(*helper, id, order.deadline + grace);
    auto finding = claim ? next_finding(*helper, id, order.deadline + grace) : claim;
    if (!finding) {
      failure = finding.error();
      break;
    }
    all.push_back({std::move(*claim), std::move(*finding)});
  }

  lock.lock();
  running_ = nullptr;
  const bool cancelled = cancelled_;
  lock.unlock();
  // All has been said: it only has to end.
  if (failure) helper->ask_to_end();
  auto status = helper->wait(patience_with_the_killed);
  if (!status) {
    helper->kill();
    status = helper->wait(patience_with_the_killed);
  }
  if (cancelled && failure) {
    if (!status) unreaped_.push_back(std::move(*helper));
    return os_error(ECANCELED, "verify");
  }
  if (!failure) {
    if (!status) unreaped_.push_back(std::move(*helper));
    return all;
  }
  if (failure->code == Fault::timed_out)
    fill_up(all, order.ids, ReasonCode::timed_out,
            "timed out: the verifying process does not answer");
  else
    fill_up(all, order.ids, ReasonCode::probe_failed,
            "the verifying process " +
                (status ? describe_end(*status) : "does not end: " + to_string(*failure)));
  if (!status) unreaped_.push_back(std::move(*helper));
  return all;
}

void Verifier::cancel() {
  const std::lock_guard lock{mutex_};
  cancelled_ = true;
  if (running_ != nullptr) running_->ask_to_end();
}

}  // namespace surveyd::run
