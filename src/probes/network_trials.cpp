#include "probes/network_trials.hpp"

#include <cerrno>
#include <optional>

#include <sched.h>

#include "host/network_objects.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* modules_disabled = "/proc/sys/kernel/modules_disabled";

bool is_missing(const Host& host, const char* path) {
  const auto info = host.stat(path);
  return !info && info.error().code == std::errc::no_such_file_or_directory;
}

// A kernel without modules has neither file, but others of the same directories. (A /proc that
// shows processes only has none of them.)
bool has_no_modules(const Host& host) {
  return is_missing(host, modules_disabled) && is_missing(host, "/proc/modules") &&
         host.stat("/proc/sys/kernel/osrelease") && host.stat("/proc/version");
}

bool loads_none(const Host& host) {
  const auto text = host.read(modules_disabled);
  if (text) return parse::trimmed(*text) == "1";
  return has_no_modules(host);
}

// rtnetlink says EOPNOTSUPP for a kind of link that it does not know, nfnetlink for a subsystem,
// and socket(2) EPROTONOSUPPORT for a netlink protocol. EAFNOSUPPORT is a filter's
// (RestrictAddressFamilies=).
bool is_unknown_to_kernel(const Error& error) {
  constexpr int enotsupp = 524;  // of the kernel's own include/linux/errno.h
  return error.code == std::errc::operation_not_supported ||
         error.code == std::errc::protocol_not_supported || error.code.value() == enotsupp;
}

}  // namespace

// rtnl_newlink() and nfnetlink_rcv_batch() ask for a module on behalf of whoever administers a
// network namespace, if only its own.
std::string may_load_module(const Trial& trial) {
  if (trial.may_load_modules || trial.claim.code == ReasonCode::available) return {};
  if (loads_none(trial.subject.host())) return {};
  return trial.claim.code == ReasonCode::loadable ? "not tried: the module would be loaded"
                                                  : "not tried: a module might be loaded";
}

Finding conclude_in_network(Trial& trial, const Attempts& attempts, const std::string& what) {
  const bool is_absent = attempts.failure && attempts.was_isolated &&
                         is_unknown_to_kernel(attempts.failure->error) &&
                         trial.claim.status != Status::no;
  if (!is_absent) {
    // Without a namespace to try it in, nothing was tried.
    if (attempts.works || attempts.was_isolated) return conclude(trial, attempts, what);
    Finding claim = trial.claim;
    for (const Evidence& one : attempts.evidence)
      claim.evidence.push_back({"not verified, " + one.source, one.value, one.error});
    return claim;
  }
  Finding finding = verified(
      trial.claim, Status::no, ReasonCode::kernel_lacks,
      "the running kernel cannot make " + what + ": " + describe_step(attempts.failure->error));
  finding.evidence.insert(finding.evidence.end(), attempts.evidence.begin(),
                          attempts.evidence.end());
  return finding;
}

Finding verify_in_network(Trial& trial, const std::string& what,
                          const std::function<Result<void>()>& make) {
  if (const std::string why = may_load_module(trial); !why.empty()) {
    Finding claim = trial.claim;
    claim.evidence.push_back(observed("not verified", why));
    return claim;
  }
  const auto deed = [&make](Rights) -> std::optional<Failure> {
    const auto made = make();
    if (!made) return Failure{made.error(), false};
    return std::nullopt;
  };
  Attempts attempts;
  const bool works = attempt_with(Rights::own, CLONE_NEWNET, deed, attempts);
  // What the kernel does not have it does not have in a user namespace either.
  const bool is_absent =
      attempts.was_isolated && !works && is_unknown_to_kernel(attempts.failure->error);
  if (!works && !is_absent)
    (void)attempt_with(Rights::user_namespace, CLONE_NEWNET, deed, attempts);
  return conclude_in_network(trial, attempts, what);
}

Finding verify_link(Trial& trial, const std::string& what, const char* kind) {
  return verify_in_network(trial, what, [kind] { return make_link(kind); });
}

}  // namespace surveyd::probes
