#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* enabled = "/sys/module/apparmor/parameters/enabled";
constexpr const char* load = "/sys/kernel/security/apparmor/.load";
constexpr const char* enforce = "/sys/fs/selinux/enforce";

TEST(AppArmor, IsThereWhereProfilesCanBeLoaded) {
  const Finding finding = Machine{}.ask("apparmor");
  expect_answer(finding, {Status::yes, ReasonCode::available});
  EXPECT_EQ(finding.evidence[1].value, "unconfined");
}

TEST(AppArmor, CanBeTurnedOff) {
  Machine machine;
  machine.host.add_file(enabled, "N\n");
  expect_answer(machine.ask("apparmor"),
                {Status::no, ReasonCode::turned_off, "turned off", "apparmor=1"});
}

TEST(AppArmor, IsMissingOnlyWhereTheModulesAreInSight) {
  Machine machine;
  machine.host.nodes.erase(enabled);
  expect_answer(machine.ask("apparmor"),
                {Status::no, ReasonCode::kernel_lacks, "without AppArmor"});
  machine.host.mounts["/sys"] = {.magic = tmpfs_magic};
  expect_answer(machine.ask("apparmor"), {Status::unknown, ReasonCode::unreadable, "ENOENT"});
  machine.host.nodes.erase("/sys/module");
  EXPECT_EQ(machine.status("apparmor"), Status::unknown);
}

TEST(AppArmor, IsUnknownWhereItsStateCannotBeRead) {
  for (const int number : {EACCES, EPERM, EMFILE}) {
    Machine machine;
    machine.host.errors[enabled] = number;
    EXPECT_EQ(machine.status("apparmor"), Status::unknown) << number;
  }
  Machine machine;
  machine.host.add_file(enabled, "");
  expect_answer(machine.ask("apparmor"), {Status::unknown, ReasonCode::unreadable, "neither"});
}

TEST(AppArmor, TakesProfilesFromRootWithTheCapabilityAlone) {
  Machine machine;
  machine.host.identity.effective_capabilities = ~(std::uint64_t{1} << CAP_MAC_ADMIN);
  expect_answer(machine.ask("apparmor"), {Status::no, ReasonCode::capability_missing,
                                          "CAP_MAC_ADMIN", "--cap-add=MAC_ADMIN"});
  machine.host.identity.effective_capabilities = ~std::uint64_t{0};
  machine.host.identity.effective_uid = 1000;
  expect_answer(machine.ask("apparmor"), {Status::no, ReasonCode::not_root, "user 0", "as root"});
}

TEST(AppArmor, TakesProfilesFromAContainerWithAPolicyOfItsOwn) {
  Machine machine;
  machine.set_namespace("user", 4026532000);
  expect_answer(machine.ask("apparmor"),
                {Status::no, ReasonCode::capability_missing, "of its own", "outside"});
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_stacked", "yes\n");
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_level", "1\n");
  EXPECT_EQ(machine.status("apparmor"), Status::yes);
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_level", "2\n");
  EXPECT_EQ(machine.status("apparmor"), Status::no);
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_level", "0\n");
  EXPECT_EQ(machine.status("apparmor"), Status::no);
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_stacked", "no\n");
  machine.host.add_file("/sys/kernel/security/apparmor/.ns_level", "1\n");
  EXPECT_EQ(machine.status("apparmor"), Status::no);
}

struct LoadRow {
  int number;
  Answer answer;
};

const LoadRow load_rows[] = {
    {ENOENT,
     {Status::unknown, ReasonCode::unreadable, "not there", "Mount securityfs",
      "mount -t securityfs securityfs /sys/kernel/security"}},
    {EROFS, {Status::no, ReasonCode::read_only, "EROFS", "read-write"}},
    {EACCES, {Status::no, ReasonCode::permission_denied, "EACCES"}},
    {EPERM, {Status::no, ReasonCode::permission_denied, "EPERM"}},
    {ENOMEM, {Status::unknown, ReasonCode::out_of_resources, "ENOMEM"}}};

TEST(AppArmor, LoadsProfilesThroughSecurityfs) {
  for (const LoadRow& row : load_rows) {
    Machine machine;
    machine.host.errors[load] = row.number;
    expect_answer(machine.ask("apparmor"), row.answer);
  }
}

TEST(SeLinux, IsEnforcingPermissiveOrDisabled) {
  Machine machine;
  const Finding enforcing = machine.ask("selinux");
  expect_answer(enforcing, {Status::yes, ReasonCode::available, "enforces"});
  EXPECT_EQ(enforcing.value, "enforcing");
  machine.host.add_file(enforce, "0");
  const Finding permissive = machine.ask("selinux");
  expect_answer(permissive,
                {Status::no, ReasonCode::permissive, "logs", "enforce", "setenforce 1"});
  EXPECT_EQ(permissive.value, "permissive");
  machine.host.nodes.erase(enforce);
  const Finding disabled = machine.ask("selinux");
  expect_answer(disabled, {Status::no, ReasonCode::kernel_lacks, "not active"});
  EXPECT_EQ(disabled.value, "disabled");
}

TEST(SeLinux, IsTurnedOffWhereTheDistributionUsesIt) {
  Machine machine;
  machine.host.nodes.erase(enforce);
  machine.host.add_file("/etc/selinux/config", "SELINUX=disabled\n");
  expect_answer(machine.ask("selinux"), {Status::no, ReasonCode::turned_off, "turned off",
                                         "permissive mode", "SELINUX=permissive"});
}

TEST(SeLinux, IsUnknownWhereItIsActiveAndHidden) {
  Machine machine;
  machine.host.add_file("/proc/filesystems", "nodev\tselinuxfs\n");
  machine.host.add_file("/proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2\0");
  for (const int number : {ENOENT, EACCES, EMFILE}) {
    machine.host.errors[enforce] = number;
    const Finding finding = machine.ask("selinux");
    const auto code = number == EMFILE ? ReasonCode::out_of_resources : ReasonCode::unreadable;
    expect_answer(finding, {Status::unknown, code, "SELinux is active"});
    EXPECT_EQ(finding.value, "");
  }
  machine.host.errors["/proc/self/attr/current"] = EACCES;
  EXPECT_EQ(machine.status("selinux"), Status::unknown);
}

TEST(SeLinux, WithoutAPolicyIsTurnedOff) {
  Machine machine;
  machine.host.nodes.erase(enforce);
  machine.host.add_file("/proc/filesystems", "nodev\tselinuxfs\n");
  machine.host.add_file("/proc/self/attr/current", std::string{"kernel\0", 7});
  expect_answer(machine.ask("selinux"), {Status::no, ReasonCode::turned_off, "without a policy"});
}

TEST(SeLinux, IsUnknownWhereNothingSaysSo) {
  Machine machine;
  machine.host.add_file(enforce, "");
  expect_answer(machine.ask("selinux"),
                {Status::unknown, ReasonCode::unreadable, "neither 0 nor 1"});
  machine.host.nodes.erase(enforce);
  machine.host.add_file("/proc/filesystems", "");
  expect_answer(machine.ask("selinux"), {Status::unknown, ReasonCode::unreadable, "neither"});
  machine.host.errors["/proc/filesystems"] = ENOENT;
  expect_answer(machine.ask("selinux"), {Status::unknown, ReasonCode::unreadable, "neither"});
}

}  // namespace
}  // namespace surveyd::test
