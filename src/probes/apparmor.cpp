#include <algorithm>

#include <linux/capability.h>
#include <unistd.h>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/privilege.hpp"
#include "probes/security_modules.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* enabled_file = "/sys/module/apparmor/parameters/enabled";
constexpr const char* policy = "/sys/kernel/security/apparmor";
constexpr const char* load_file = "/sys/kernel/security/apparmor/.load";

const Remedy boot_with_apparmor{
    "Boot with apparmor=1 on the kernel command line, and with apparmor in the list of lsm=, where "
    "there is one.",
    {}};

// Whether it is enabled; the objection, where not.
bool ask_kernel(const Host& host, Inquiry& inquiry) {
  const auto enabled = host.read(enabled_file);
  inquiry.saw(enabled ? observed(enabled_file, std::string{parse::trimmed(*enabled)})
                      : failed(enabled_file, enabled.error()));
  if (!enabled) {
    if (errno_name(enabled.error().code) == "ENOENT" && sysfs_is_visible(host))
      inquiry.no(ReasonCode::kernel_lacks, "the kernel is built without AppArmor");
    else
      inquiry.unknown(ReasonCode::unreadable,
                      std::string{enabled_file} + " cannot be read: " + describe(enabled.error()));
    return false;
  }
  const std::string_view answered = parse::trimmed(*enabled);
  if (answered == "Y") return true;
  if (answered == "N")
    inquiry.no(ReasonCode::turned_off, "AppArmor is built in and turned off", boot_with_apparmor);
  else
    inquiry.unknown(ReasonCode::unreadable, std::string{enabled_file} + " says neither Y nor N");
  return false;
}

// Evidence: profiles bind to the paths of binaries, so this is about surveyd's own.
void see_profile(const Host& host, Inquiry& inquiry) {
  for (const char* path : {"/proc/self/attr/apparmor/current", "/proc/self/attr/current"}) {
    const auto profile = host.read(path);
    if (!profile) continue;
    return inquiry.saw(observed(path, std::string{parse::trimmed(*profile)}));
  }
}

// A policy namespace of a container's own (stacking), as LXD makes them: its root may load profiles
// when it is as deep as the user namespace. How deep that is cannot be read; 1 is right for a
// container that is not nested.
bool has_own_policy(const Host& host, Inquiry& inquiry) {
  const auto stacked = host.read("/sys/kernel/security/apparmor/.ns_stacked");
  const auto level = host.read("/sys/kernel/security/apparmor/.ns_level");
  if (!stacked || !level) return false;
  const std::string depth{parse::trimmed(*level)};
  inquiry.saw(
      observed("/sys/kernel/security/apparmor/.ns_stacked", std::string{parse::trimmed(*stacked)}));
  inquiry.saw(observed("/sys/kernel/security/apparmor/.ns_level", depth));
  return parse::trimmed(*stacked) == "yes" && depth == "1";
}

// The kernel also asks for user 0 of the user namespace (aa_policy_view_capable).
void ask_rights(Subject& subject, Inquiry& inquiry) {
  const Host& host = subject.host();
  const Privilege admin = privilege_of(subject, CAP_MAC_ADMIN, "CAP_MAC_ADMIN", inquiry);
  if (admin.effective == Status::yes && admin.over_machine == Status::no &&
      has_own_policy(host, inquiry)) {
    // Nothing more to ask for: the policy is the container's own.
  } else {
    require(admin, inquiry);
  }
  if (host.effective_uid() != 0)
    inquiry.no(ReasonCode::not_root, "only user 0 may load profiles",
               Remedy{"Run surveyd as root.", {}});
}

// Profiles are loaded by writing to a file of securityfs.
void ask_interface(const Host& host, Inquiry& inquiry) {
  const auto writable = host.access(load_file, W_OK, As::effective_user);
  inquiry.saw(writable ? observed(load_file, "writable") : failed(load_file, writable.error()));
  if (writable) return;
  const std::string name = errno_name(writable.error().code);
  const std::string why = std::string{load_file} + ": " + describe(writable.error());
  if (name == "ENOENT")
    inquiry.unknown(
        ReasonCode::unreadable, std::string{policy} + " is not there to load through",
        Remedy{"Mount securityfs.", "mount -t securityfs securityfs /sys/kernel/security"});
  else if (name == "EROFS")
    inquiry.no(ReasonCode::read_only, why,
               Remedy{"Mount securityfs read-write where surveyd runs.", {}});
  else if (name == "EACCES" || name == "EPERM")
    inquiry.no(ReasonCode::permission_denied, why);
  else
    inquiry.unknown(code_of(writable.error()), why);
}

}  // namespace

Finding apparmor(Subject& subject) {
  const Host& host = subject.host();
  Inquiry inquiry;
  if (ask_kernel(host, inquiry)) {
    see_profile(host, inquiry);
    ask_rights(subject, inquiry);
    ask_interface(host, inquiry);
  }
  return inquiry.conclude("AppArmor is enabled, and this process may load profiles");
}

}  // namespace surveyd::probes
