#include <algorithm>

#include <linux/capability.h>

#include "parse/kernel.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/overlayfs_claim.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

enum class Support { present, loadable, absent, unknown };

// A mount(2) with CAP_SYS_ADMIN makes the kernel load the module "fs-overlay" by itself.
Support kernel_support(Subject& subject, Finding& finding) {
  const auto& registered = subject.file_systems();
  if (!registered) {
    finding.evidence.push_back(failed("/proc/filesystems", registered.error()));
    return Support::unknown;
  }
  const auto names = parse::words(*registered);
  if (std::find(names.begin(), names.end(), "overlay") != names.end()) {
    finding.evidence.push_back(observed("/proc/filesystems", "overlay"));
    return Support::present;
  }
  finding.evidence.push_back(observed("/proc/filesystems", "no overlay"));
  const std::string file = subject.module_file("modules.dep");
  const auto& modules = subject.loadable_modules();
  if (!modules) {
    // A container does not see its host's modules, which the host may still load for it.
    finding.evidence.push_back(failed(file, modules.error()));
    return Support::unknown;
  }
  const bool loadable = std::find(modules->begin(), modules->end(), "overlay") != modules->end();
  finding.evidence.push_back(observed(file, loadable ? "overlay" : "no overlay"));
  return loadable ? Support::loadable : Support::absent;
}

}  // namespace

Finding overlayfs_rootfs_available(Subject& subject) {
  const Host& host = subject.host();
  std::vector<Evidence> evidence;
  const auto concluded = [&evidence](Finding finding) {
    finding.evidence.insert(finding.evidence.begin(), evidence.begin(), evidence.end());
    return finding;
  };
  const auto& admin = subject.is_admin();
  evidence.push_back(
      admin ? observed("capget()", *admin ? "CAP_SYS_ADMIN set" : "CAP_SYS_ADMIN not set")
            : failed("capget()", admin.error()));
  if (!admin)
    return concluded(unknown(code_of(admin.error()),
                             "the capability sets cannot be read: " + describe(admin.error())));
  if (!*admin)
    return concluded(with_remedy(
        no(ReasonCode::capability_missing, "mounting needs CAP_SYS_ADMIN in the effective set"),
        grant_capability(subject, CAP_SYS_ADMIN, "CAP_SYS_ADMIN")));

  const std::string release = host.kernel_release();
  const auto version = parse::kernel_version(release);
  if (is_in_user_namespace(subject) && version && *version < parse::KernelVersion{5, 11}) {
    evidence.push_back(observed("uname()", release));
    return concluded(no(ReasonCode::kernel_too_old,
                        "before Linux 5.11 overlayfs does not mount in a user namespace"));
  }

  Finding seen;
  const Support support = kernel_support(subject, seen);
  evidence.insert(evidence.end(), seen.evidence.begin(), seen.evidence.end());
  switch (support) {
    case Support::present:
      return concluded(yes("the kernel has overlayfs and CAP_SYS_ADMIN is effective"));
    case Support::loadable:
      return concluded(yes(ReasonCode::loadable,
                           "overlayfs is a module that the kernel loads at the first mount"));
    case Support::absent:
      return concluded(no(ReasonCode::kernel_lacks,
                          "the running kernel has no overlayfs, built in or as a module"));
    case Support::unknown:
      break;
  }
  return concluded(unknown(ReasonCode::unreadable,
                           "it cannot be seen from here whether the kernel has overlayfs"));
}

bool is_in_user_namespace(Subject& subject) {
  const auto& own = subject.namespaces().own;
  return std::find(own.begin(), own.end(), "user") != own.end();
}

}  // namespace surveyd::probes
