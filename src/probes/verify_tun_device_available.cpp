#include <cerrno>

#include <linux/capability.h>
#include <sched.h>

#include "host/namespace_holder.hpp"
#include "host/tun.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* device = "/dev/net/tun";
constexpr const char* what = "a TUN interface";

std::optional<Failure> make_interface(Rights) {
  const auto made = try_tun_interface(device);
  if (!made) return Failure{made.error(), false};
  return std::nullopt;
}

void try_in_place(Attempts& attempts) {
  constexpr const char* where = "in the network namespace that is in use";
  const auto failure = make_interface(Rights::own);
  if (!failure) attempts.works = Rights::own;
  attempts.failure = failure;
  attempts.evidence.push_back(failure ? evidence_of(where, failure->error)
                                      : observed(where, "works"));
}

Attempts try_interface(const Host& host) {
  const auto administers = host.has_capability(CAP_NET_ADMIN);
  Attempts attempts;
  if (attempt_with(Rights::own, CLONE_NEWNET, make_interface, attempts)) return attempts;
  // A container's filter may leave a process CAP_NET_ADMIN and take the making of namespaces from
  // it. Then there is only the network that it is in, where the interface lives for a moment. Asked
  // in a child: a process that enters a user namespace and then fails is in another network.
  if (!attempts.was_isolated && administers && *administers) {
    const auto other = NamespaceHolder::make(CLONE_NEWNET, NamespaceHolder::Ids::own_user);
    if (!other) {
      attempts.evidence.push_back(evidence_of(shown(Rights::user_namespace), other.error()));
      try_in_place(attempts);
      return attempts;
    }
  }
  (void)attempt_with(Rights::user_namespace, CLONE_NEWNET, make_interface, attempts);
  return attempts;
}

}  // namespace

// The value stays the device's number.
Finding verify_tun_device_available(Trial& trial) {
  const Attempts attempts = try_interface(trial.subject.host());
  Finding finding = conclude(trial, attempts, what);
  if (attempts.works == Rights::user_namespace)
    finding.reason += " only: elsewhere it needs CAP_NET_ADMIN";
  else if (attempts.works)
    finding.reason += attempts.was_isolated ? ", in a new network namespace"
                                            : ", in the network namespace that is in use";
  if (attempts.works) return finding;
  const Error& error = attempts.failure->error;
  if (error.code != std::errc::inappropriate_io_control_operation) return finding;
  finding.code = ReasonCode::not_the_device;
  finding.reason =
      std::string{device} + " opens and is not the TUN device: " + describe_step(error);
  finding.remedy = trial.claim.remedy;
  return finding;
}

}  // namespace surveyd::probes
