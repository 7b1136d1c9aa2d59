#include "cli/helper.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <map>
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

/// Where a trial makes its directory.
struct Place {
  std::string storage;
  std::string name;
  std::optional<Error> hangs;  ///< the storage path does not answer
};

Finding try_it(const Probe& probe, const run::VerificationOrder& order, const Place& place,
               Subject& subject, const Finding& claim) {
  const auto begin = std::chrono::steady_clock::now();
  const auto directory =
      place.hangs ? Result<Scratch>{*place.hangs} : make_scratch(place.storage, place.name);
  Trial trial{.subject = subject,
              .claim = claim,
              .scratch = directory ? Result<std::string>{directory->path} : directory.error(),
              .may_load_modules = order.may_load_modules};
  Finding finding = probe.verify(trial);
  finding.id = probe.id;
  finding.checked_at = finding.changed_at = std::chrono::system_clock::now();
  finding.duration = claim.duration + (std::chrono::steady_clock::now() - begin);
  return finding;
}

// In a process of its own: two lines, then its end.
void verify_here(const Probe& probe, const run::VerificationOrder& order, const Place& place,
                 int output) {
  const RealHost host;
  Subject subject{host, order.plan};
  std::optional<Finding> claim;
  try {
    claim = run_probe(probe, subject);
    if (send(output, *claim)) (void)send(output, try_it(probe, order, place, subject, *claim));
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

/// Verifies one after another. It does not touch a storage path itself, as that may hang.
class Session {
 public:
  explicit Session(const run::VerificationOrder& order) : order_(order) {}

  /// False when nobody listens any more.
  bool verify(const Probe& probe) {
    const Place place = place_for(probe);
    const auto outcome =
        run_forked([&](int output) { verify_here(probe, order_, place, output); }, order_.deadline);
    if (!place.hangs)
      (void)run_forked([&place](int) { remove_scratch(place.storage, place.name); }, tidying_limit,
                       true);
    if (asked_to_end()) return false;
    std::vector<Finding> findings;
    if (outcome) findings = findings_in(outcome->output);
    while (findings.size() < 2) findings.push_back(missing_answer(probe, outcome, order_.deadline));
    return send(STDOUT_FILENO, findings[0]) && send(STDOUT_FILENO, findings[1]);
  }

 private:
  static constexpr std::chrono::milliseconds tidying_limit{1000};

  Place place_for(const Probe& probe) {
    // A probe that is not about a storage path uses the first one where it needs a place.
    Place place{.storage = probe.storage.empty() ? order_.storage.front() : probe.storage,
                .name = new_scratch_name(),
                .hangs = {}};
    if (hangs(place.storage))
      place.hangs = Error{.code = Fault::timed_out, .op = "open", .path = place.storage};
    return place;
  }

  // Found out once, by removing what others have left there.
  bool hangs(const std::string& storage) {
    const auto [known, is_new] = hangs_.try_emplace(storage, false);
    if (is_new) {
      const auto outcome =
          run_forked([&storage](int) { remove_abandoned_scratch(storage); }, tidying_limit);
      known->second = outcome && outcome->timed_out;
    }
    return known->second;
  }

  const run::VerificationOrder& order_;
  std::map<std::string, bool> hangs_;
};

int verify(const run::VerificationOrder& order) {
  const std::vector<Probe> probes = probes_for(order.storage);
  end_forks_on_request();
  Session session{order};
  for (const std::string& id : order.ids) {
    const auto probe = std::find_if(probes.begin(), probes.end(),
                                    [&id](const Probe& one) { return one.id == id; });
    if (probe == probes.end() || probe->verify == nullptr) return wrong_usage;
    if (!session.verify(*probe)) return 1;
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
  const auto order = run::order_of(task);
  if (order && !order->storage.empty()) return verify(*order);
  if (const auto about = run::subject_order_of(task)) return survey_subject(*about);
  return wrong_usage;
}

}  // namespace surveyd::cli
