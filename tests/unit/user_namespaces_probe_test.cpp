#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* id = "user_namespaces";
constexpr std::uint64_t sys_admin = std::uint64_t{1} << CAP_SYS_ADMIN;

/// An ordinary user, so that every restriction counts.
struct UsersMachine : Machine {
  UsersMachine() { become(1000); }
};

void set_profile(Machine& machine, const std::string& profile) {
  machine.host.add_file("/proc/self/attr/current", profile);
}

TEST(UserNamespaces, AreForEverybodyWhereNothingRestrictsThem) {
  expect_answer(Machine{}.ask(id), {Status::yes, ReasonCode::available});
  expect_answer(UsersMachine{}.ask(id), {Status::yes, ReasonCode::available});
}

TEST(UserNamespaces, AreOffForRootTooWhereNoneAreAllowed) {
  Machine machine;
  machine.set_sysctl("user.max_user_namespaces", "0");
  expect_answer(machine.ask(id),
                {Status::no, ReasonCode::disabled_by_sysctl, "user.max_user_namespaces is 0",
                 "user.max_user_namespaces",
                 "sysctl -w user.max_user_namespaces=15000 && "
                 "mkdir -p /etc/sysctl.d && echo 'user.max_user_namespaces = 15000' > "
                 "/etc/sysctl.d/90-user.max_user_namespaces.conf"});
}

TEST(UserNamespaces, OfDebianMayBeForTheMachinesAdministratorAlone) {
  UsersMachine machine;
  machine.set_sysctl("kernel.unprivileged_userns_clone", "0");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::disabled_by_sysctl,
                                  "kernel.unprivileged_userns_clone is 0, and CAP_SYS_ADMIN",
                                  "kernel.unprivileged_userns_clone to 1",
                                  "sysctl -w kernel.unprivileged_userns_clone=1"});
  machine.host.identity.effective_capabilities = sys_admin;
  EXPECT_EQ(machine.status(id), Status::yes);
  machine.set_namespace("user", 4026532000);  // root of a container is not the machine's
  expect_answer(machine.ask(id), {Status::no, ReasonCode::disabled_by_sysctl, "of its own",
                                  "unprivileged_userns_clone", "sysctl -w"});
  machine.set_namespace("user", 0xEFFFFFFD);
  machine.host.identity.effective_capabilities.reset();
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "capability sets"});
}

TEST(UserNamespaces, AreNotRestrictedWhereDebiansSettingSaysSo) {
  UsersMachine machine;
  machine.set_sysctl("kernel.unprivileged_userns_clone", "1");
  EXPECT_EQ(machine.status(id), Status::yes);
}

struct AppArmorRow {
  const char* restriction;
  const char* profile;
  std::uint64_t capabilities;
  Status status;
};

constexpr AppArmorRow apparmor_rows[] = {{"0", "unconfined\n", 0, Status::yes},
                                         {"1", "unconfined\n", 0, Status::no},
                                         {"1", "unconfined\n", sys_admin, Status::yes},
                                         {"1", "surveyd (unconfined)\n", 0, Status::unknown},
                                         {"1", "surveyd (enforce)\n", 0, Status::unknown},
                                         {"1", "", 0, Status::unknown},
                                         {"x", "unconfined\n", 0, Status::unknown}};

TEST(UserNamespaces, OfUbuntuDependOnTheProfileOfTheBinary) {
  for (const AppArmorRow& row : apparmor_rows) {
    UsersMachine machine;
    machine.host.identity.effective_capabilities = row.capabilities;
    machine.set_sysctl("kernel.apparmor_restrict_unprivileged_userns", row.restriction);
    set_profile(machine, row.profile);
    EXPECT_EQ(machine.status(id), row.status) << row.restriction << " " << row.profile;
  }
}

TEST(UserNamespaces, OfUbuntuNameTheRestriction) {
  UsersMachine machine;
  machine.set_sysctl("kernel.apparmor_restrict_unprivileged_userns", "1");
  for (const auto& [profile, status] :
       {std::pair{"unconfined\n", Status::no}, std::pair{"surveyd (enforce)\n", Status::unknown}}) {
    set_profile(machine, profile);
    expect_answer(machine.ask(id), {status, ReasonCode::restricted_by_lsm,
                                    "kernel.apparmor_restrict_unprivileged_userns is 1", "to 0",
                                    "kernel.apparmor_restrict_unprivileged_userns=0"});
  }
}

TEST(UserNamespaces, TakeTheProfileOfAppArmorBeforeThatOfWhicheverModule) {
  UsersMachine machine;
  machine.set_sysctl("kernel.apparmor_restrict_unprivileged_userns", "1");
  machine.host.add_file("/proc/self/attr/apparmor/current", "surveyd (enforce)\n");
  EXPECT_EQ(machine.status(id), Status::unknown);
}

TEST(UserNamespaces, AreUnknownBehindAMaskedProcSys) {
  for (const int number : {ENOENT, EACCES, EPERM}) {
    Machine machine;
    machine.host.errors["/proc/sys/user/max_user_namespaces"] = number;
    expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "cannot be read"});
  }
  Machine machine;
  machine.set_sysctl("user.max_user_namespaces", "");
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "masked"});
}

TEST(UserNamespaces, AreUnknownToAUserWhereOnlyTheKernelsSettingsAreMasked) {
  UsersMachine machine;
  machine.host.nodes.erase("/proc/sys/kernel/cap_last_cap");
  EXPECT_EQ(machine.status(id), Status::unknown);
}

TEST(UserNamespaces, AreUnknownWithoutDescriptors) {
  Machine machine;
  machine.host.errors["/proc/sys/user/max_user_namespaces"] = EMFILE;
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::out_of_resources, "EMFILE"});
}

TEST(UserNamespaces, AreMissingFromAKernelWithoutThem) {
  Machine machine;
  machine.set_namespace("mnt", 4026531832);
  machine.host.nodes.erase("/proc/self/ns/user");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::kernel_lacks, "no /proc/self/ns/user"});
}

TEST(UserNamespaces, AreUnknownWithoutProc) {
  Machine machine;
  for (const char* name : {"cgroup", "pid", "user"})
    machine.host.nodes.erase(std::string{"/proc/self/ns/"} + name);
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "/proc/self/ns/user"});
}

TEST(UserNamespaces, AreNotThereBehindAFilterWhateverItAnswers) {
  for (const int answered : {EPERM, ENOSYS, EACCES, 0}) {
    Machine machine;
    machine.host.call_answers[KernelCall::unshare_user] = answered;
    expect_answer(machine.ask(id),
                  {Status::no, ReasonCode::call_filtered, "seccomp", "RestrictNamespaces="});
  }
}

TEST(UserNamespaces, HaveARemedyForAllThatIsInTheWay) {
  UsersMachine machine;
  machine.set_sysctl("user.max_user_namespaces", "0");
  machine.set_sysctl("kernel.unprivileged_userns_clone", "0");
  const Finding finding = machine.ask(id);
  ASSERT_TRUE(finding.remedy);
  EXPECT_NE(finding.remedy->command.find("max_user_namespaces=15000 && "), std::string::npos);
  EXPECT_NE(finding.remedy->command.find("userns_clone=1"), std::string::npos);
}

}  // namespace
}  // namespace surveyd::test
