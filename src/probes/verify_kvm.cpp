#include "host/virtual_machine.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/refusal.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

// The value stays the API version.
Finding verify_kvm(Trial& trial) {
  constexpr const char* device = "/dev/kvm";
  constexpr const char* what = "a virtual machine";
  const auto made = try_virtual_machine(device);
  if (!made) {
    Finding finding = refused_in_place(trial.claim, made.error(), what);
    finding.evidence.push_back(evidence_of("tried", made.error()));
    return finding;
  }
  Finding finding = verified(trial.claim, Status::yes, ReasonCode::available,
                             "/dev/kvm made " + std::string{what});
  finding.evidence.push_back(observed("ioctl(/dev/kvm, KVM_CREATE_VM)", "0"));
  return finding;
}

}  // namespace surveyd::probes
