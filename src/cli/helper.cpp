#include "cli/helper.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <optional>
#include <vector>

#include <unistd.h>

#include <surveyd/probe.hpp>

#include "cli/subject_helper.hpp"
#include "host/forked.hpp"
#include "host/helper_process.hpp"
#include "host/real_host.hpp"
#include "host/scratch.hpp"
#include "json/findings.hpp"
#include "probes/trial.hpp"
#include "run/verifier.hpp"

namespace surveyd::cli {
namespace {

constexpr int wrong_usage = 2;

bool send(int output, const Finding& finding) {
  const std::string text = json::finding_line(finding) + "\n";
  for (std::string_view rest{text}; !rest.empty();) {
    const ssize_t count = ::write(output, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Finding failed(const Probe& probe, const std::exception& failure) {
  return run::no_answer(probe.id, ReasonCode::probe_failed,
                        std::string{"the verification failed: "} + failure.what());
}

// In a process of its own: two lines, then its end.
void verify_here(const Probe& probe, const run::VerificationOrder& order,
                 const Result<std::string>& scratch, int output) {
  const RealHost host;
  Subject subject{host, order.plan};
  std::optional<Finding> claim;
  try {
    const auto begin = std::chrono::steady_clock::now();
    claim = run_probe(probe, subject);
    if (!send(output, *claim)) return;
    Trial trial{.subject = subject,
                .claim = *claim,
                .scratch = scratch,
                .may_load_modules = order.may_load_modules};
    Finding finding = probe.verify(trial);
    finding.id = probe.id;
    finding.checked_at = finding.changed_at = std::chrono::system_clock::now();
    finding.duration = std::chrono::steady_clock::now() - begin;
    (void)send(output, finding);
  } catch (const std::exception& failure) {
    if (!claim) (void)send(output, failed(probe, failure));
    (void)send(output, failed(probe, failure));
  }
}

// The whole lines of what was written, as findings.
std::vector<Finding> findings_in(std::string_view text) {
  std::vector<Finding> findings;
  while (true) {
    const auto feed = text.find('\n');
    if (feed == std::string_view::npos) return findings;
    if (auto finding = json::parse_finding(text.substr(0, feed)))
      findings.push_back(std::move(*finding));
    text.remove_prefix(feed + 1);
  }
}

Finding missing_answer(const Probe& probe, const Result<ForkOutcome>& outcome,
                       std::chrono::milliseconds deadline) {
  if (!outcome)
    return run::no_answer(
        probe.id,
        is_inconclusive(outcome.error().code) ? ReasonCode::out_of_resources
                                              : ReasonCode::probe_failed,
        "no process could be started for the verification: " + to_string(outcome.error()));
  if (outcome->timed_out) {
    Finding finding = run::no_answer(
        probe.id, ReasonCode::timed_out,
        "timed out: the verification did not end within " + std::to_string(deadline.count()) +
            " ms" + (outcome->status ? "" : ", and is still waiting for the kernel"));
    finding.duration = deadline;
    return finding;
  }
  return run::no_answer(
      probe.id, ReasonCode::probe_failed,
      "the process that verified it " + describe_end(outcome->status.value_or(0)));
}

bool verify_one(const Probe& probe, const run::VerificationOrder& order) {
  // A probe that is not about a storage path uses the first one where it needs a place.
  const std::string& storage =
      !probe.storage.empty() || order.storage.empty() ? probe.storage : order.storage.front();
  const auto directory = ScratchDirectory::make(storage);
  const Result<std::string> scratch =
      directory ? Result<std::string>{directory->path()} : directory.error();
  const auto outcome =
      run_forked([&](int output) { verify_here(probe, order, scratch, output); }, order.deadline);
  std::vector<Finding> findings;
  if (outcome) findings = findings_in(outcome->output);
  while (findings.size() < 2) findings.push_back(missing_answer(probe, outcome, order.deadline));
  return send(STDOUT_FILENO, findings[0]) && send(STDOUT_FILENO, findings[1]);
}

int verify(const run::VerificationOrder& order) {
  for (const std::string& path : order.storage) remove_abandoned_scratch(path);
  const std::vector<Probe> probes = probes_for(order.storage);
  for (const std::string& id : order.ids) {
    const auto probe = std::find_if(probes.begin(), probes.end(),
                                    [&id](const Probe& one) { return one.id == id; });
    if (probe == probes.end() || probe->verify == nullptr) return wrong_usage;
    if (!verify_one(*probe, order)) return 1;  // nobody listens any more
  }
  return 0;
}

}  // namespace

int helper(std::span<const std::string> arguments) {
  if (arguments.size() < 2) return wrong_usage;
  const std::string& text = arguments.front();
  pid_t parent = 0;
  std::from_chars(text.data(), text.data() + text.size(), parent);
  if (!become_helper(parent)) return wrong_usage;
  const auto task = arguments.subspan(1);
  if (const auto order = run::order_of(task)) return verify(*order);
  if (const auto order = run::subject_order_of(task)) return survey_subject(*order);
  return wrong_usage;
}

}  // namespace surveyd::cli
