#include <algorithm>
#include <cerrno>

#include <linux/capability.h>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/privilege.hpp"
#include "probes/subject.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {
namespace {

// What Debian and Red Hat document; the kernel's own default depends on the memory.
constexpr long long many_namespaces = 15000;

// Without CONFIG_USER_NS the other entries of /proc/self/ns are there and this one is not.
void ask_kernel(Subject& subject, Inquiry& inquiry) {
  const auto& unreadable = subject.namespaces().unreadable;
  const auto about_user = std::find_if(unreadable.begin(), unreadable.end(), [](const auto& entry) {
    return entry.first.ends_with("/user");
  });
  if (about_user == unreadable.end()) return;
  const auto& [path, error] = *about_user;
  inquiry.saw(failed(path, error));
  if (errno_name(error.code) == "ENOENT" && subject.host().stat("/proc/self/ns/mnt"))
    inquiry.no(ReasonCode::kernel_lacks, "the kernel has no user namespaces: no " + path);
  else
    inquiry.unknown(ReasonCode::unreadable, path + " cannot be seen: " + describe(error));
}

// Counted for each user in this user namespace and in every one above it.
void ask_limit(const Host& host, Inquiry& inquiry) {
  const Sysctl limit = read_sysctl(host, "user.max_user_namespaces");
  inquiry.saw(limit.evidence());
  if (!limit.value)
    inquiry.unknown(limit.code(), limit.doubt());
  else if (*limit.value <= 0)
    inquiry.no(ReasonCode::disabled_by_sysctl, "user.max_user_namespaces is 0",
               change_sysctl(limit.name, many_namespaces));
}

// Debian's kernels ask for CAP_SYS_ADMIN in the initial user namespace when this is 0. No other
// kernel has it.
void ask_debian(const Host& host, const Privilege& admin, Inquiry& inquiry) {
  if (admin.over_machine == Status::yes) return;
  const Sysctl clone = read_sysctl(host, "kernel.unprivileged_userns_clone");
  if (is_absent(host, clone, kernel_neighbour)) return;
  inquiry.saw(clone.evidence());
  if (!clone.value)
    inquiry.unknown(clone.code(), clone.doubt());
  else if (*clone.value == 0 && admin.over_machine == Status::no)
    inquiry.no(ReasonCode::disabled_by_sysctl,
               "kernel.unprivileged_userns_clone is 0, and " + admin.lack,
               change_sysctl(clone.name, 1));
  else if (*clone.value == 0)
    inquiry.unknown(admin.code, "kernel.unprivileged_userns_clone is 0, and " + admin.lack);
}

std::optional<std::string> apparmor_profile(const Host& host, Inquiry& inquiry) {
  for (const char* path : {"/proc/self/attr/apparmor/current", "/proc/self/attr/current"}) {
    const auto profile = host.read(path);
    if (!profile) continue;
    std::string name{parse::trimmed(*profile)};
    inquiry.saw(observed(path, name));
    return name;
  }
  return std::nullopt;
}

// Ubuntu since 23.10: a process that no profile is attached to gets one that denies every
// capability (`unprivileged_userns`), or is refused where that is not loaded. A profile with the
// rule `userns` is exempt; its name does not say whether it has that rule.
void ask_apparmor(const Host& host, const Privilege& admin, Inquiry& inquiry) {
  if (admin.effective == Status::yes) return;
  const Sysctl restriction = read_sysctl(host, "kernel.apparmor_restrict_unprivileged_userns");
  if (is_absent(host, restriction, kernel_neighbour)) return;
  inquiry.saw(restriction.evidence());
  if (!restriction.value) return inquiry.unknown(restriction.code(), restriction.doubt());
  if (*restriction.value == 0) return;
  const Remedy remedy = change_sysctl(restriction.name, 0);
  const auto profile = apparmor_profile(host, inquiry);
  if (profile == "unconfined" && admin.effective == Status::no)
    inquiry.no(
        ReasonCode::restricted_by_lsm,
        "kernel.apparmor_restrict_unprivileged_userns is 1, no AppArmor profile exempts this "
        "binary, and " +
            admin.lack,
        remedy);
  else
    inquiry.unknown(ReasonCode::restricted_by_lsm,
                    "kernel.apparmor_restrict_unprivileged_userns is 1, and whether the profile of "
                    "this process exempts it cannot be read",
                    remedy);
}

// The kernel refuses these arguments with EINVAL before it asks for any permission; only Debian's
// check of its sysctl comes before that.
void ask_filter(const Host& host, const Privilege& admin, Inquiry& inquiry) {
  const int answered = host.answer_to_bad_call(KernelCall::unshare_user);
  if (answered == EINVAL) return;
  if (answered == EPERM && admin.over_machine != Status::yes &&
      read_sysctl(host, "kernel.unprivileged_userns_clone").value == 0)
    return;
  const Error error = os_error(answered, "unshare");
  inquiry.saw(failed("unshare(CLONE_NEWUSER | 1)", error));
  inquiry.no(
      ReasonCode::call_filtered,
      "a seccomp filter answers unshare(CLONE_NEWUSER) with " + errno_name(error.code),
      Remedy{"Allow it in the filter: RestrictNamespaces= and SystemCallFilter= of the unit, "
             "or --security-opt seccomp= of the container.",
             {}});
}

}  // namespace

// A process in a chroot gets EPERM from the kernel, which only a trial tells.
Finding user_namespaces(Subject& subject) {
  const Host& host = subject.host();
  Inquiry inquiry;
  const Privilege admin = privilege_of(subject, CAP_SYS_ADMIN, "CAP_SYS_ADMIN", inquiry);
  ask_kernel(subject, inquiry);
  ask_limit(host, inquiry);
  ask_debian(host, admin, inquiry);
  ask_apparmor(host, admin, inquiry);
  ask_filter(host, admin, inquiry);
  return inquiry.conclude("this process may make user namespaces, as far as settings tell");
}

}  // namespace surveyd::probes
