#include <sched.h>

#include "host/isolation.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/overlay_trial.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

// A security module may let the user namespace be made and then let nothing be
// done in it.
std::optional<Failure> mount_something(const Trial& trial) {
  if (auto entered = enter_namespaces(CLONE_NEWNS, Rights::own); !entered)
    return Failure{entered.error(), false};
  if (auto tmpfs = private_tmpfs(trial); !tmpfs) return Failure{tmpfs.error(), false};
  return std::nullopt;
}

}  // namespace

Finding verify_user_namespaces(Trial& trial) {
  Attempts attempts;
  const bool works = attempt_with(
      Rights::user_namespace, 0, [&trial](Rights) { return mount_something(trial); }, attempts);
  Finding finding = conclude(trial, attempts, "a mount in an own user namespace");
  if (works)
    finding.reason = "a user namespace was made, its ids mapped, and a tmpfs mounted in it";
  return finding;
}

}  // namespace surveyd::probes
