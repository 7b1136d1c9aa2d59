#include <cerrno>

#include <linux/capability.h>

#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/privilege.hpp"
#include "probes/subject.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {
namespace {

constexpr parse::KernelVersion first_version{4, 15};
constexpr parse::KernelVersion split_version{5, 8};  // CAP_BPF was split off CAP_SYS_ADMIN

const Remedy boot_with_cgroup2{
    "Boot with cgroup v2 alone: systemd.unified_cgroup_hierarchy=1 on the kernel command line, "
    "where "
    "systemd is used.",
    {}};

// On a hybrid host the devices controller of v1 does this instead.
void ask_hierarchy(Subject& subject, Inquiry& inquiry) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  inquiry.saw(hierarchy.doubt
                  ? failed("statfs(/sys/fs/cgroup)", *hierarchy.doubt)
                  : observed("/proc/self/mountinfo", cgroup::to_string(hierarchy.version)));
  switch (hierarchy.version) {
    case cgroup::Version::v2:
      return;
    case cgroup::Version::hybrid:
      return inquiry.no(ReasonCode::hybrid_hierarchy, hierarchy.explanation, boot_with_cgroup2);
    case cgroup::Version::v1:
      return inquiry.no(ReasonCode::cgroup_v1, hierarchy.explanation, boot_with_cgroup2);
    case cgroup::Version::none:
      return inquiry.no(ReasonCode::cgroup_not_mounted, hierarchy.explanation,
                        Remedy{"Mount it.", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"});
    case cgroup::Version::unknown:
      return inquiry.unknown(hierarchy.doubt ? code_of(*hierarchy.doubt) : ReasonCode::unreadable,
                             hierarchy.explanation);
  }
}

// Since 5.8 CAP_BPF loads programs, and for those that decide about devices the kernel asks for
// CAP_NET_ADMIN as well (is_net_admin_prog_type() in kernel/bpf/syscall.c). CAP_SYS_ADMIN covers
// both. A token (since 6.9) could grant it in a user namespace, too; container engines use none.
bool ask_rights(Subject& subject, std::optional<parse::KernelVersion> version, Inquiry& inquiry) {
  const Privilege admin = privilege_of(subject, CAP_SYS_ADMIN, "CAP_SYS_ADMIN", inquiry);
  if (admin.over_machine == Status::yes) return true;
  if (!version || *version < split_version || admin.effective == Status::yes)
    return require(admin, inquiry);
  const Privilege bpf = privilege_of(subject, CAP_BPF, "CAP_BPF", inquiry);
  if (bpf.over_machine != Status::yes) {
    Privilege either = bpf.over_machine == Status::unknown ? bpf : admin;
    if (bpf.effective == Status::no)
      either.lack = "neither CAP_SYS_ADMIN nor CAP_BPF is in the effective set";
    return require(either, inquiry);
  }
  Privilege net = privilege_of(subject, CAP_NET_ADMIN, "CAP_NET_ADMIN", inquiry);
  net.lack += ", and device programs need it beside CAP_BPF";
  return require(net, inquiry);
}

// Asked of a process that may use it: kernels before 5.13 answer others with EPERM at once.
void ask_call(const Host& host, Inquiry& inquiry) {
  const int answered = host.answer_to_bad_call(KernelCall::bpf);
  if (answered == EINVAL || answered == EFAULT) return;
  const Error error = os_error(answered, "bpf");
  inquiry.saw(failed("bpf(-1)", error));
  if (answered == ENOSYS)
    return inquiry.no(ReasonCode::call_missing,
                      "bpf answers ENOSYS: a kernel without it, or a filter that says so");
  inquiry.no(ReasonCode::call_filtered,
             "a seccomp filter answers bpf with " + errno_name(error.code),
             Remedy{"Allow bpf in the filter: SystemCallFilter= of the unit, or --security-opt "
                    "seccomp= of the container.",
                    {}});
}

}  // namespace

Finding cgroup_device_bpf(Subject& subject) {
  const Host& host = subject.host();
  const auto version = parse::kernel_version(host.kernel_release());
  Inquiry inquiry;
  ask_hierarchy(subject, inquiry);
  if (version && *version < first_version)
    inquiry.no(ReasonCode::kernel_too_old,
               "programs that decide about devices came with Linux 4.15",
               Remedy{"Boot Linux 4.15 or newer.", {}});
  if (ask_rights(subject, version, inquiry)) ask_call(host, inquiry);
  // Evidence alone: it is about processes without those capabilities.
  inquiry.saw(read_sysctl(host, "kernel.unprivileged_bpf_disabled").evidence());
  return inquiry.conclude("cgroup v2 is in use, and this process may load programs for it");
}

}  // namespace surveyd::probes
