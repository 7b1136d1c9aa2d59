#include "probes/attempts.hpp"

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "host/mounts.hpp"
#include "probes/answer.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {
namespace {

bool is_set_to(const Host& host, const std::string& sysctl, long long value) {
  return read_sysctl(host, sysctl).value == value;
}

// Says nothing about what was tried. EIO does: it is what overlayfs answers where it cannot keep
// its notes.
bool ran_out(const Error& error) {
  if (error.code == Fault::program_failed) {
    for (const int number : {EMFILE, ENFILE, ENOMEM, EAGAIN})
      if (error.detail.find(std::generic_category().message(number)) != std::string::npos)
        return true;
    return false;
  }
  return error.code != std::errc::io_error && is_inconclusive(error.code);
}

// The kernel was not asked: without /proc, with another one over it, or in a PID namespace that it
// is not of, the files that the ids are mapped with are not there.
bool was_blind(const Error& error) {
  const bool hidden = error.code == std::errc::no_such_file_or_directory ||
                      error.code == std::errc::not_a_directory ||
                      error.code == std::errc::permission_denied;
  const bool looked = error.op == "open" || error.op == "readlink";
  return hidden && looked && error.path.starts_with("/proc/");
}

// Of a tmpfs: none of the directories that it could be mounted on is there.
bool found_no_place(const Error& error) {
  return error.op == "mount(tmpfs)" && error.path.empty() &&
         error.code == std::errc::no_such_file_or_directory;
}

struct Cause {
  ReasonCode code = ReasonCode::refused;
  std::string explanation;  ///< continues the sentence
  std::optional<Remedy> remedy;
};

// What Debian and Red Hat document.
constexpr long long many_namespaces = 15000;

struct NamespaceLimit {
  const char* flag;
  const char* kind;
};
constexpr std::array namespace_limits = {NamespaceLimit{"CLONE_NEWUSER", "user"},
                                         NamespaceLimit{"CLONE_NEWNS", "mnt"},
                                         NamespaceLimit{"CLONE_NEWNET", "net"}};

// Each kind is counted for itself, in this user namespace and in every one above it.
Cause limit_of(const Host& host, const std::string& call) {
  for (const auto& [flag, kind] : namespace_limits) {
    const std::string name = std::string{"user.max_"} + kind + "_namespaces";
    if (call.find(flag) == std::string::npos || !is_set_to(host, name, 0)) continue;
    return {ReasonCode::disabled_by_sysctl, name + " is 0", change_sysctl(name, many_namespaces)};
  }
  return {ReasonCode::limit_reached, "no more namespaces may be made (user.max_*_namespaces)", {}};
}

// What is known to refuse namespaces and what is done in them (user_namespaces(7)).
Cause cause_of(const Host& host, const Error& error) {
  if (error.code == std::errc::no_space_on_device && error.op.starts_with("unshare"))
    return limit_of(host, error.op);
  const bool denied = error.code == std::errc::operation_not_permitted ||
                      error.code == std::errc::permission_denied;
  if (!denied) return {};
  if (error.op.find("CLONE_NEWUSER") != std::string::npos &&
      is_set_to(host, "kernel.unprivileged_userns_clone", 0))
    return {ReasonCode::disabled_by_sysctl, "kernel.unprivileged_userns_clone is 0",
            change_sysctl("kernel.unprivileged_userns_clone", 1)};
  // The namespace is made, and the process in it confined so that it can do nothing there.
  if (!error.op.starts_with("unshare") &&
      is_set_to(host, "kernel.apparmor_restrict_unprivileged_userns", 1))
    return {ReasonCode::restricted_by_lsm,
            "AppArmor leaves no capabilities in user namespaces "
            "(kernel.apparmor_restrict_unprivileged_userns is 1)",
            change_sysctl("kernel.apparmor_restrict_unprivileged_userns", 0)};
  return {};
}

}  // namespace

const char* shown(Rights rights) {
  return rights == Rights::own ? "with the own rights" : "in an own user namespace";
}

std::string describe_step(const Error& error) {
  if (error.code == Fault::program_failed && !error.detail.empty()) return error.detail;
  const std::string step = error.path.empty() ? error.op : error.op + " " + error.path;
  return step + ": " + describe(error);
}

Evidence evidence_of(const std::string& with, const Error& error) {
  const std::string step = error.path.empty() ? error.op : error.op + " " + error.path;
  if (errno_name(error.code).empty())
    return observed(with + ": " + step, error.detail.empty() ? error.code.message() : error.detail);
  return failed(with + ": " + step, error);
}

bool attempt_with(Rights rights, int namespaces, const Deed& deed, Attempts& attempts) {
  const auto entered = enter_namespaces(namespaces, rights);
  auto failure = entered ? deed(rights) : std::optional<Failure>{Failure{entered.error(), false}};
  const bool came_further = attempts.was_isolated;
  attempts.was_isolated = came_further || entered.has_value();
  if (!failure) {
    attempts.evidence.push_back(observed(shown(rights), "works"));
    attempts.works = rights;
    return true;
  }
  attempts.evidence.push_back(evidence_of(shown(rights), failure->error));
  // EPERM on the way there says less than anything that comes after it.
  const bool replaceable = !came_further && attempts.failure &&
                           attempts.failure->error.code == std::errc::operation_not_permitted;
  if (!attempts.failure || replaceable) attempts.failure = std::move(failure);
  return false;
}

Attempts attempt(int namespaces, const Deed& deed) {
  Attempts attempts;
  if (!attempt_with(Rights::own, namespaces, deed, attempts))
    (void)attempt_with(Rights::user_namespace, namespaces, deed, attempts);
  return attempts;
}

Finding conclude(Trial& trial, const Attempts& attempts, const std::string& what) {
  Finding finding = attempts.works
                        ? verified(trial.claim, Status::yes, ReasonCode::available,
                                   what + " works " + shown(*attempts.works))
                        : refused(trial.claim, trial.subject.host(), *attempts.failure, what);
  finding.evidence.insert(finding.evidence.end(), attempts.evidence.begin(),
                          attempts.evidence.end());
  return finding;
}

Finding verified(Finding claim, Status status, ReasonCode code, std::string reason) {
  if (claim.status != Status::no || status != Status::no) claim.remedy.reset();
  claim.status = status;
  claim.basis = Basis::verified;
  claim.code = code;
  claim.reason = std::move(reason);
  return claim;
}

Finding refused(Finding claim, const Host& host, const Failure& failure, const std::string& what) {
  const Error& error = failure.error;
  const std::string step = describe_step(error);
  if (error.code == Fault::timed_out)
    return verified(std::move(claim), Status::unknown, ReasonCode::timed_out,
                    what + " was tried, and " + step);
  if (ran_out(error)) {
    const ReasonCode code = error.code == std::errc::function_not_supported
                                ? ReasonCode::call_missing
                                : ReasonCode::out_of_resources;
    return verified(std::move(claim), Status::unknown, code, what + " cannot be tried: " + step);
  }
  if (failure.was_accepted)
    return verified(std::move(claim), Status::no, ReasonCode::misbehaves,
                    what + " is accepted and then does not work: " + step);
  const Cause cause = cause_of(host, error);
  if (cause.code == ReasonCode::refused && was_blind(error))
    return verified(std::move(claim), Status::unknown, ReasonCode::unreadable,
                    what + " cannot be tried, as /proc is masked or not mounted: " + step);
  if (found_no_place(error))
    return verified(std::move(claim), Status::unknown, ReasonCode::needs_trial,
                    what + " cannot be tried: there is no /tmp, /mnt or /run to mount a tmpfs on");
  if (cause.code == ReasonCode::refused && claim.status == Status::no) {
    // The claim has looked more closely at what stands in the way.
    const ReasonCode code = claim.code;
    const std::string reason = claim.reason + " (tried: " + step + ")";
    return verified(std::move(claim), Status::no, code, reason);
  }
  std::string reason = what + " was tried and refused: " + step;
  if (!cause.explanation.empty()) reason += "; " + cause.explanation;
  Finding finding = verified(std::move(claim), Status::no, cause.code, reason);
  if (cause.remedy) finding.remedy = cause.remedy;
  return finding;
}

Finding without_scratch(const Trial& trial, const std::string& what) {
  const Error& error = trial.scratch.error();
  Finding finding = trial.claim;
  finding.evidence.push_back(evidence_of("not verified", error));
  if (finding.status == Status::no) return finding;
  const bool is_missing = error.code == std::errc::no_such_file_or_directory ||
                          error.code == std::errc::not_a_directory;
  const ReasonCode code = is_missing ? ReasonCode::storage_missing : code_of(error);
  const bool is_refused =
      is_missing || code == ReasonCode::permission_denied || code == ReasonCode::read_only;
  return verified(finding, is_refused ? Status::no : Status::unknown, code,
                  what + " needs a new directory there: " + describe_step(error));
}

std::optional<Finding> spare_module(const Trial& trial, const std::string& module) {
  if (trial.may_load_modules) return std::nullopt;
  const auto registered = is_registered(trial.subject.host(), module);
  if (registered && *registered) return std::nullopt;
  Finding claim = trial.claim;
  if (claim.code == ReasonCode::kernel_lacks) return claim;
  if (!registered) claim.evidence.push_back(evidence_of("not verified", registered.error()));
  claim.evidence.push_back(
      observed("not verified", "not tried: the module " + module + " would be loaded"));
  return claim;
}

}  // namespace surveyd::probes
