// The probes of mounts with an id map, of seccomp filters and of device programs.

#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr std::uint64_t bit(int capability) {
  return std::uint64_t{1} << capability;
}

constexpr const char* idmap = "idmapped_mounts";
constexpr const char* seccomp = "seccomp_filter";
constexpr const char* bpf = "cgroup_device_bpf";

TEST(IdmappedMounts, NeedTheKernelTheFileSystemAndTheCapability) {
  expect_answer(Machine{}.ask(idmap), {Status::yes, ReasonCode::available, "/var/lib"});
}

struct FileSystemRow {
  std::uint64_t magic;
  const char* release;
  Status status;
  ReasonCode code;
};

constexpr FileSystemRow file_system_rows[] = {
    {0xEF53, "5.11.22", Status::no, ReasonCode::kernel_too_old},
    {0xEF53, "5.12.0", Status::yes, ReasonCode::available},
    {0x4d44, "5.12.0", Status::yes, ReasonCode::available},
    {0x58465342, "5.12.0", Status::yes, ReasonCode::available},
    {0x9123683E, "5.14.0", Status::no, ReasonCode::kernel_too_old},
    {0x9123683E, "5.15.0", Status::yes, ReasonCode::available},
    {0xF2F52010, "5.17.0", Status::no, ReasonCode::kernel_too_old},
    {0xF2F52010, "5.18.0", Status::yes, ReasonCode::available},
    {0xE0F5E1E2, "5.18.0", Status::no, ReasonCode::kernel_too_old},
    {0xE0F5E1E2, "5.19.0", Status::yes, ReasonCode::available},
    {0x73717368, "6.1.0", Status::no, ReasonCode::kernel_too_old},
    {0x73717368, "6.2.0", Status::yes, ReasonCode::available},
    {tmpfs_magic, "6.1.0", Status::no, ReasonCode::kernel_too_old},
    {tmpfs_magic, "6.3.0", Status::yes, ReasonCode::available},
    {0x00c36400, "6.6.0", Status::no, ReasonCode::kernel_too_old},
    {0x00c36400, "6.7.0", Status::yes, ReasonCode::available},
    {0x794c7630, "6.18.0", Status::no, ReasonCode::storage_unsuitable},
    {0x6969, "6.18.0", Status::no, ReasonCode::storage_unsuitable},
    {0xFF534D42, "6.18.0", Status::no, ReasonCode::storage_unsuitable},
    {0xFE534D42, "6.18.0", Status::no, ReasonCode::storage_unsuitable},
    {0x2fc12fc1, "6.18.0", Status::unknown, ReasonCode::needs_trial},   // zfs
    {0x65735546, "6.18.0", Status::unknown, ReasonCode::needs_trial}};  // fuse: the server decides

TEST(IdmappedMounts, CameToOneFileSystemAfterTheOther) {
  for (const FileSystemRow& row : file_system_rows) {
    Machine machine;
    machine.host.release = row.release;
    if (row.release == std::string_view{"5.11.22"})
      machine.host.call_answers[KernelCall::mount_setattr] = ENOSYS;
    machine.host.mounts["/"].magic = row.magic;
    const Finding finding = machine.ask(idmap);
    EXPECT_STREQ(to_string(finding.status), to_string(row.status)) << row.magic << row.release;
    EXPECT_STREQ(to_string(finding.code), to_string(row.code)) << row.magic << row.release;
    EXPECT_EQ(finding.remedy.has_value(), row.status == Status::no) << row.magic << row.release;
  }
}

struct CallRow {
  const char* release;
  int answered;
  Answer answer;
};

const CallRow call_rows[] = {
    {"6.1.0", EPERM, {Status::no, ReasonCode::call_filtered, "EPERM", "SystemCallFilter="}},
    {"6.1.0", ENOSYS, {Status::no, ReasonCode::call_filtered, "ENOSYS", "SystemCallFilter="}},
    {"5.4.0", ENOSYS, {Status::no, ReasonCode::kernel_too_old, "5.12", "Linux 5.12 or newer"}},
    {"5.4.0", EPERM, {Status::no, ReasonCode::kernel_too_old, "5.12", "Linux 5.12 or newer"}},
    {"5.4.0", EINVAL, {Status::unknown, ReasonCode::needs_trial, "was added"}},
    {"custom", ENOSYS, {Status::unknown, ReasonCode::call_missing, "ENOSYS"}},
    {"custom", EPERM, {Status::no, ReasonCode::call_filtered, "EPERM", "SystemCallFilter="}},
    {"custom", EINVAL, {Status::unknown, ReasonCode::needs_trial, "version"}}};

TEST(IdmappedMounts, TellAnOldKernelFromAFilter) {
  for (const CallRow& row : call_rows) {
    Machine machine;
    machine.host.release = row.release;
    machine.host.call_answers[KernelCall::mount_setattr] = row.answered;
    expect_answer(machine.ask(idmap), row.answer);
  }
}

TEST(IdmappedMounts, NeedTheStoragePath) {
  Machine machine;
  machine.host.nodes.erase("/var/lib");
  expect_answer(machine.ask(idmap), {Status::no, ReasonCode::storage_missing, "/var/lib",
                                     "Make the directory", "mkdir -p /var/lib"});
  machine.host.errors["/var/lib"] = EIO;
  expect_answer(machine.ask(idmap), {Status::unknown, ReasonCode::unreadable, "EIO"});
}

TEST(IdmappedMounts, NeedTheCapabilityOverTheMachine) {
  Machine machine;
  machine.host.identity.effective_capabilities = ~bit(CAP_SYS_ADMIN);
  expect_answer(machine.ask(idmap),
                {Status::no, ReasonCode::capability_missing,
                 "CAP_SYS_ADMIN is not in the effective set", "AmbientCapabilities=CAP_SYS_ADMIN"});
  machine.set_namespace("user", 4026532000);
  expect_answer(machine.ask(idmap), {Status::no, ReasonCode::capability_missing,
                                     "not in the effective set", "outside of the user namespace"});
  machine.host.identity.effective_capabilities = ~std::uint64_t{0};
  expect_answer(machine.ask(idmap), {Status::no, ReasonCode::capability_missing, "of its own",
                                     "outside of the user namespace"});
  machine.host.nodes.erase("/proc/self/ns/user");
  expect_answer(machine.ask(idmap), {Status::unknown, ReasonCode::unreadable, "initial"});
  machine.host.identity.effective_capabilities.reset();
  expect_answer(machine.ask(idmap), {Status::unknown, ReasonCode::unreadable, "capability sets"});
}

TEST(IdmappedMounts, MayWorkOnATmpfsOfOnesOwnUserNamespace) {
  Machine machine;
  machine.host.release = "6.3.0";
  machine.set_namespace("user", 4026532000);
  machine.host.mounts["/var/lib"] = {.magic = tmpfs_magic};
  expect_answer(machine.ask(idmap), {Status::unknown, ReasonCode::needs_trial, "tmpfs"});
}

TEST(SeccompFilter, IsThereWithTheActionsOfTheKernel) {
  const Finding finding = Machine{}.ask(seccomp);
  expect_answer(finding, {Status::yes, ReasonCode::available});
  EXPECT_EQ(finding.value, "kill_process trap errno user_notif trace log allow");
}

TEST(SeccompFilter, SaysWhetherThisProcessIsFiltered) {
  Machine machine;
  machine.host.identity.seccomp_mode = 2;
  EXPECT_NE(machine.ask(seccomp).evidence.back().value.find("filtered itself"), std::string::npos);
}

constexpr const char* actions = "/proc/sys/kernel/seccomp/actions_avail";

TEST(SeccompFilter, FollowsFromBeingFilteredWhereTheListIsMasked) {
  for (const int number : {ENOENT, EACCES, EMFILE}) {
    Machine machine;
    machine.host.errors[actions] = number;
    machine.host.identity.seccomp_mode = 2;
    EXPECT_EQ(machine.status(seccomp), Status::yes) << number;
  }
}

TEST(SeccompFilter, IsUnknownWhereTheListIsMasked) {
  Machine machine;
  for (const int number : {ENOENT, EACCES, EPERM}) {
    machine.host.errors[actions] = number;
    expect_answer(machine.ask(seccomp),
                  {Status::unknown, ReasonCode::unreadable, "cannot be read"});
  }
  machine.host.errors[actions] = EMFILE;
  expect_answer(machine.ask(seccomp), {Status::unknown, ReasonCode::out_of_resources, "EMFILE"});
  machine.host.errors.clear();
  machine.host.add_file(actions, "");
  expect_answer(machine.ask(seccomp), {Status::unknown, ReasonCode::unreadable, "masked"});
}

TEST(SeccompFilter, IsMissingFromAKernelThatSaysSo) {
  Machine machine;
  machine.host.errors[actions] = EACCES;
  machine.host.identity.seccomp_mode = -EINVAL;
  expect_answer(machine.ask(seccomp),
                {Status::no, ReasonCode::kernel_lacks, "without seccomp", "CONFIG_SECCOMP_FILTER"});
}

TEST(SeccompFilter, IsMissingWhereItsSettingsAreAndTheOthersAreNot) {
  Machine machine;
  machine.host.nodes.erase(actions);
  EXPECT_EQ(machine.status(seccomp), Status::unknown);  // an empty directory: masked
  machine.host.nodes.erase("/proc/sys/kernel/seccomp");
  expect_answer(machine.ask(seccomp),
                {Status::no, ReasonCode::kernel_lacks, "seccomp filters", "CONFIG_SECCOMP_FILTER"});
  machine.host.nodes.erase("/proc/sys/kernel/cap_last_cap");
  EXPECT_EQ(machine.status(seccomp), Status::unknown);
}

struct CapabilityRow {
  std::uint64_t capabilities;
  const char* release;
  Status status;
};

// As tried on Linux 6.18: CAP_BPF alone does not load a program about devices.
constexpr CapabilityRow capability_rows[] = {
    {0, "6.1.0", Status::no},
    {bit(CAP_SYS_ADMIN), "6.1.0", Status::yes},
    {bit(CAP_BPF), "6.1.0", Status::no},
    {bit(CAP_NET_ADMIN), "6.1.0", Status::no},
    {bit(CAP_BPF) | bit(CAP_NET_ADMIN), "6.1.0", Status::yes},
    {bit(CAP_BPF) | bit(CAP_NET_ADMIN), "5.8.0", Status::yes},
    {bit(CAP_BPF) | bit(CAP_NET_ADMIN), "5.7.0", Status::no},
    {bit(CAP_SYS_ADMIN), "5.7.0", Status::yes}};

TEST(DeviceBpf, DependsOnTheCapabilities) {
  for (const CapabilityRow& row : capability_rows) {
    Machine machine;
    machine.host.identity.effective_capabilities = row.capabilities;
    machine.host.release = row.release;
    const Finding finding = machine.ask(bpf);
    EXPECT_EQ(finding.status, row.status) << row.capabilities << " " << row.release;
    EXPECT_EQ(finding.code == ReasonCode::capability_missing, row.status == Status::no);
    EXPECT_EQ(finding.remedy.has_value(), row.status == Status::no);
  }
}

TEST(DeviceBpf, NamesTheCapabilityThatIsMissing) {
  Machine machine;
  machine.host.identity.effective_capabilities = 0;
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::capability_missing,
                                   "neither CAP_SYS_ADMIN nor CAP_BPF", "CAP_SYS_ADMIN"});
  machine.host.identity.effective_capabilities = bit(CAP_BPF);
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::capability_missing,
                                   "CAP_NET_ADMIN is not in", "CAP_NET_ADMIN"});
}

TEST(DeviceBpf, IsForTheInitialUserNamespace) {
  Machine machine;
  machine.set_namespace("user", 4026532000);
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::capability_missing, "of its own",
                                   "outside of the user namespace"});
}

TEST(DeviceBpf, NeedsTheSystemCall) {
  Machine machine;
  machine.host.call_answers[KernelCall::bpf] = ENOSYS;
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::call_missing, "ENOSYS"});
  machine.host.call_answers[KernelCall::bpf] = EPERM;
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::call_filtered, "EPERM", "Allow bpf"});
  machine.host.call_answers[KernelCall::bpf] = EFAULT;
  EXPECT_EQ(machine.status(bpf), Status::yes);
}

TEST(DeviceBpf, NeedsLinux415) {
  Machine machine;
  machine.host.release = "4.14.0";
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::kernel_too_old, "4.15", "4.15"});
}

TEST(DeviceBpf, NeedsTheTreeOfVersion2) {
  Machine machine;
  machine.host.mounts[cgroup_root] = {.magic = tmpfs_magic};
  machine.host.add_file("/proc/self/mountinfo",
                        "1 2 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  expect_answer(machine.ask(bpf),
                {Status::no, ReasonCode::cgroup_v1, "", "unified_cgroup_hierarchy"});
  machine.host.add_file("/proc/self/mountinfo",
                        "1 2 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                        "3 2 0:31 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
  expect_answer(machine.ask(bpf),
                {Status::no, ReasonCode::hybrid_hierarchy, "", "unified_cgroup_hierarchy"});
  machine.host.add_file("/proc/self/mountinfo", "1 2 0:30 / / rw - ext4 none rw\n");
  expect_answer(machine.ask(bpf), {Status::no, ReasonCode::cgroup_not_mounted, "", "Mount it",
                                   "mount -t cgroup2 cgroup2 /sys/fs/cgroup"});
  machine.host.errors["/proc/self/mountinfo"] = EACCES;
  machine.host.errors[cgroup_root] = EACCES;
  expect_answer(machine.ask(bpf), {Status::unknown, ReasonCode::permission_denied});
}

}  // namespace
}  // namespace surveyd::test
