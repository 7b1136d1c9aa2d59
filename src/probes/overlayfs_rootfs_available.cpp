#include <algorithm>

#include <linux/capability.h>

#include "parse/kernel.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

enum class Support { present, loadable, absent, unknown };

// A mount(2) with CAP_SYS_ADMIN makes the kernel load the module "fs-overlay" by itself.
Support kernel_support(const Host& host, const std::string& release, Finding& finding) {
  const auto registered = host.read("/proc/filesystems");
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
  const std::string modules = "/lib/modules/" + release + "/modules.dep";
  const auto dependencies = host.read(modules);
  if (!dependencies) {
    // A container does not see its host's modules, which the host may still load for it.
    finding.evidence.push_back(failed(modules, dependencies.error()));
    return Support::unknown;
  }
  const bool loadable = parse::lists_module(*dependencies, "overlay");
  finding.evidence.push_back(observed(modules, loadable ? "overlay" : "no overlay"));
  return loadable ? Support::loadable : Support::absent;
}

}  // namespace

Finding overlayfs_rootfs_available(Subject& subject) {
  const Host& host = subject.host();
  Finding finding;
  const auto admin = host.has_capability(CAP_SYS_ADMIN);
  finding.evidence.push_back(
      admin ? observed("capget()", *admin ? "CAP_SYS_ADMIN set" : "CAP_SYS_ADMIN not set")
            : failed("capget()", admin.error()));
  if (!admin) {
    finding.reason = "the capability sets cannot be read: " + describe(admin.error());
    return finding;
  }
  if (!*admin) {
    finding.status = Status::no;
    finding.reason = "mounting needs CAP_SYS_ADMIN in the effective set";
    return finding;
  }

  const std::string release = host.kernel_release();
  const auto version = parse::kernel_version(release);
  const auto& own = subject.namespaces().own;
  if (std::find(own.begin(), own.end(), "user") != own.end() && version &&
      *version < parse::KernelVersion{5, 11}) {
    finding.status = Status::no;
    finding.reason = "before Linux 5.11 overlayfs does not mount in a user namespace";
    return finding;
  }

  switch (kernel_support(host, release, finding)) {
    case Support::present:
      finding.status = Status::yes;
      finding.reason = "the kernel has overlayfs and CAP_SYS_ADMIN is effective";
      break;
    case Support::loadable:
      finding.status = Status::yes;
      finding.reason = "overlayfs is a module that the kernel loads at the first mount";
      break;
    case Support::absent:
      finding.status = Status::no;
      finding.reason = "the running kernel has no overlayfs, built in or as a module";
      break;
    case Support::unknown:
      finding.reason = "it cannot be seen from here whether the kernel has overlayfs";
      break;
  }
  return finding;
}

}  // namespace surveyd::probes
