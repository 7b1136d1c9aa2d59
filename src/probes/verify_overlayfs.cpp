#include <sched.h>

#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/overlay_trial.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

/// An overlay on the storage path, or, where that takes none at all, on a tmpfs.
struct Anywhere {
  Trial& trial;
  bool on_tmpfs = false;

  std::optional<Failure> operator()(Rights rights) {
    on_tmpfs = false;
    if (trial.scratch) {
      auto failure = try_overlay(*trial.scratch, rights);
      if (!failure || !is_unsuitable_storage(*failure)) return failure;
    }
    on_tmpfs = true;
    const auto tmpfs = private_tmpfs(trial);
    if (!tmpfs) return Failure{tmpfs.error(), false};
    return try_overlay(*tmpfs, rights);
  }
};

}  // namespace

// The value says with whose rights: "direct" or "user_namespace".
Finding verify_overlayfs_rootfs_available(Trial& trial) {
  if (auto spared = spare_module(trial, "overlay")) return *spared;
  Anywhere anywhere{trial};
  const Attempts attempts = attempt(CLONE_NEWNS, std::ref(anywhere));
  if (!attempts.works && anywhere.on_tmpfs && attempts.failure->was_accepted) {
    // Before Linux 6.6 a tmpfs cannot hold what an overlay notes in a user namespace. That says
    // nothing about a disk.
    Finding claim = trial.claim;
    claim.evidence.insert(claim.evidence.end(), attempts.evidence.begin(), attempts.evidence.end());
    claim.evidence.push_back(
        observed("not verified", "a tmpfs cannot hold it, and there is no other place to try it"));
    return claim;
  }
  Finding finding =
      conclude(trial, attempts, anywhere.on_tmpfs ? "an overlay on a tmpfs" : "an overlay");
  if (attempts.works) finding.value = attempts.works == Rights::own ? "direct" : "user_namespace";
  return finding;
}

// The value stays the path.
Finding verify_overlayfs_on(Trial& trial) {
  const std::string& storage = trial.subject.storage();
  const std::string what = "an overlay on " + storage;
  if (!trial.scratch) return without_scratch(trial, what);
  if (auto spared = spare_module(trial, "overlay")) return *spared;
  const Attempts attempts =
      attempt(CLONE_NEWNS, [&trial](Rights rights) { return try_overlay(*trial.scratch, rights); });
  Finding finding = conclude(trial, attempts, what);
  if (!attempts.works && is_unsuitable_storage(*attempts.failure))
    finding.code = ReasonCode::storage_unsuitable;
  return finding;
}

}  // namespace surveyd::probes
