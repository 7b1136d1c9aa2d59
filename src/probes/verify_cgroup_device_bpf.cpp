#include "host/device_program.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/refusal.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

// Whether there is a cgroup v2 hierarchy to attach it to is the claim's to say: a no for another
// reason than the missing right stays, and so does not having seen one.
Finding verify_cgroup_device_bpf(Trial& trial) {
  constexpr const char* what = "a program that decides about devices";
  const auto loaded = load_device_program();
  if (!loaded) {
    const Error& error = loaded.error();
    const bool has_no_such_type =
        error.code == std::errc::invalid_argument && trial.claim.status != Status::no;
    Finding finding =
        has_no_such_type
            ? verified(
                  trial.claim, Status::no, ReasonCode::kernel_lacks,
                  "the kernel does not take programs that decide about devices for a cgroup: " +
                      describe_step(error))
            : refused_in_place(trial.claim, error, what);
    finding.evidence.push_back(evidence_of("tried", error));
    return finding;
  }
  const bool has_nowhere_to_go =
      trial.claim.status == Status::no && (trial.claim.code == ReasonCode::hybrid_hierarchy ||
                                           trial.claim.code == ReasonCode::cgroup_v1 ||
                                           trial.claim.code == ReasonCode::cgroup_not_mounted);
  const bool is_hidden = trial.claim.status != Status::no &&
                         trial.subject.hierarchy().version == cgroup::Version::unknown;
  Finding finding =
      is_hidden ? verified(trial.claim, Status::unknown, trial.claim.code, trial.claim.reason)
      : has_nowhere_to_go ? verified(trial.claim, Status::no, trial.claim.code, trial.claim.reason)
                          : verified(trial.claim, Status::yes, ReasonCode::available,
                                     std::string{what} + " was loaded, and attached nowhere");
  finding.evidence.push_back(observed("bpf(BPF_PROG_LOAD, CGROUP_DEVICE)", "loaded"));
  return finding;
}

}  // namespace surveyd::probes
