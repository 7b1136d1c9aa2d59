// The probes that are about settings below /proc/sys, and about pressure stall information.

#include <cerrno>

#include <gtest/gtest.h>

#include "support/answers.hpp"
#include "support/fake_cgroup_host.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* forwarding = "ip_forwarding";
constexpr const char* inotify = "inotify_headroom";
constexpr const char* psi = "psi";

TEST(IpForwarding, IsThatOfIpv4) {
  Machine machine;
  expect_answer(machine.ask(forwarding), {Status::yes, ReasonCode::available, "IPv4 packets"});
  machine.set_sysctl("net.ipv6.conf.all.forwarding", "1");
  expect_answer(machine.ask(forwarding), {Status::yes, ReasonCode::available, "IPv4 and IPv6"});
  machine.host.nodes.erase("/proc/sys/net/ipv6/conf/all/forwarding");  // ipv6.disable=1
  expect_answer(machine.ask(forwarding), {Status::yes, ReasonCode::available, "IPv4 packets"});
}

TEST(IpForwarding, IsTurnedOnByItsSetting) {
  Machine machine;
  machine.set_sysctl("net.ipv4.ip_forward", "0");
  expect_answer(machine.ask(forwarding),
                {Status::no, ReasonCode::disabled_by_sysctl, "net.ipv4.ip_forward is 0",
                 "net.ipv4.ip_forward to 1", "sysctl -w net.ipv4.ip_forward=1"});
}

TEST(IpForwarding, OfAContainerIsNotTurnedOnByTheHosts) {
  Machine machine;
  machine.set_sysctl("net.ipv4.ip_forward", "0");
  machine.set_namespace("pid", 4026532000);
  expect_answer(machine.ask(forwarding), {Status::no, ReasonCode::disabled_by_sysctl,
                                          "network namespace", "--sysctl net.ipv4.ip_forward=1"});
}

TEST(IpForwarding, IsUnknownBehindAMaskedProcSys) {
  for (const int number : {ENOENT, EACCES, EPERM}) {
    Machine machine;
    machine.host.errors["/proc/sys/net/ipv4/ip_forward"] = number;
    expect_answer(machine.ask(forwarding), {Status::unknown, ReasonCode::unreadable, "ip_forward"});
  }
  Machine machine;
  machine.set_sysctl("net.ipv4.ip_forward", "");
  expect_answer(machine.ask(forwarding), {Status::unknown, ReasonCode::unreadable, "masked"});
  machine.host.errors["/proc/sys/net/ipv4/ip_forward"] = ENFILE;
  expect_answer(machine.ask(forwarding), {Status::unknown, ReasonCode::out_of_resources, "ENFILE"});
}

TEST(Inotify, IsThereWhereAnInstanceCanBeMade) {
  const Finding finding = Machine{}.ask(inotify);
  expect_answer(finding, {Status::yes, ReasonCode::available, "128 instances"});
  EXPECT_EQ(finding.value, "128 instances, 192536 watches");
}

TEST(Inotify, IsUsedUpWhereNoneIsLeft) {
  Machine machine;
  machine.host.inotify_error = EMFILE;
  expect_answer(machine.ask(inotify),
                {Status::no, ReasonCode::limit_reached, "left of 128", "max_user_instances to 512",
                 "sysctl -w fs.inotify.max_user_instances=512"});
  machine.set_sysctl("fs.inotify.max_user_instances", "8192");
  expect_answer(machine.ask(inotify), {Status::no, ReasonCode::limit_reached, "left of 8192",
                                       "to 16384", "max_user_instances=16384"});
}

TEST(Inotify, IsUnknownWhereThisProcessHasNoDescriptorLeft) {
  Machine machine;
  machine.host.inotify_error = EMFILE;
  machine.host.errors["/proc/sys/fs/inotify/max_user_instances"] = EMFILE;
  expect_answer(machine.ask(inotify), {Status::unknown, ReasonCode::out_of_resources, "EMFILE"});
  machine.host.errors.clear();
  for (const int number : {ENFILE, ENOMEM}) {
    machine.host.inotify_error = number;
    expect_answer(machine.ask(inotify),
                  {Status::unknown, ReasonCode::out_of_resources, "inotify_init1"});
  }
}

TEST(Inotify, IsNotThereBehindAFilter) {
  for (const int number : {EPERM, ENOSYS}) {
    Machine machine;
    machine.host.inotify_error = number;
    expect_answer(machine.ask(inotify), {Status::no, ReasonCode::call_filtered, "seccomp"});
  }
}

struct LimitRow {
  const char* instances;
  const char* watches;
  const char* command;  ///< null: the limits suffice
};

constexpr LimitRow limit_rows[] = {{"0", "192536", "sysctl -w fs.inotify.max_user_instances=512"},
                                   {"15", "192536", "sysctl -w fs.inotify.max_user_instances=512"},
                                   {"16", "192536", nullptr},
                                   {"128", "1023", "sysctl -w fs.inotify.max_user_watches=524288"},
                                   {"128", "1024", nullptr},
                                   {"128", "8192", nullptr}};  // the default before Linux 5.11

TEST(Inotify, SaysNoToLimitsThatLeaveNoRoomForContainers) {
  for (const LimitRow& row : limit_rows) {
    Machine machine;
    machine.set_sysctl("fs.inotify.max_user_instances", row.instances);
    machine.set_sysctl("fs.inotify.max_user_watches", row.watches);
    if (row.command == nullptr)
      expect_answer(machine.ask(inotify), {Status::yes, ReasonCode::available});
    else
      expect_answer(machine.ask(inotify), {Status::no, ReasonCode::limit_reached, "too few",
                                           "Set fs.inotify", row.command});
  }
}

TEST(Inotify, HasALimitOfTheUserNamespaceToo) {
  Machine machine;
  machine.set_sysctl("user.max_inotify_instances", "4");
  EXPECT_EQ(machine.status(inotify), Status::yes);  // the initial one, where both are one
  machine.set_namespace("user", 4026532000);
  expect_answer(machine.ask(inotify),
                {Status::no, ReasonCode::limit_reached, "user.max_inotify_instances is 4",
                 "user.max_inotify_instances", "sysctl -w user.max_inotify_instances=512"});
}

TEST(Inotify, IsUnknownBehindAMaskedProcSys) {
  for (const char* name : {"max_user_instances", "max_user_watches"}) {
    Machine machine;
    machine.host.errors[std::string{"/proc/sys/fs/inotify/"} + name] = ENOENT;
    expect_answer(machine.ask(inotify), {Status::unknown, ReasonCode::unreadable, name});
  }
}

TEST(Psi, IsThereWhereAllThreeFilesSaySomething) {
  expect_answer(Machine{}.ask(psi), {Status::yes, ReasonCode::available});
}

void remove_pressure(Machine& machine) {
  for (const char* resource : {"cpu", "memory", "io"})
    machine.host.nodes.erase(std::string{"/proc/pressure/"} + resource);
}

TEST(Psi, IsTurnedOffWhereTheFilesSaySo) {
  Machine machine;
  machine.host.errors["/proc/pressure/cpu"] = EOPNOTSUPP;
  expect_answer(machine.ask(psi), {Status::no, ReasonCode::turned_off, "turned off", "psi=1"});
}

struct AbsentRow {
  const char* release;
  const char* command_line;
  Answer answer;
};

const AbsentRow absent_rows[] = {
    {"6.1.0", "quiet\n", {Status::no, ReasonCode::kernel_lacks, "PSI_DEFAULT_DISABLED", "psi=1"}},
    {"6.1.0", "quiet xpsi=0\n", {Status::no, ReasonCode::kernel_lacks, "CONFIG_PSI", "psi=1"}},
    {"6.1.0", "psi=0 quiet\n", {Status::no, ReasonCode::turned_off, "psi=0", "psi=1"}},
    {"6.1.0", "psi=1\n", {Status::no, ReasonCode::kernel_lacks, "without CONFIG_PSI"}},
    {"4.19.0", "quiet\n", {Status::no, ReasonCode::kernel_too_old, "4.20", "4.20 or newer"}},
    {"6.1.0", "", {Status::unknown, ReasonCode::unreadable, "masked"}}};

TEST(Psi, IsMissingForAReasonThatTheCommandLineTells) {
  for (const AbsentRow& row : absent_rows) {
    Machine machine;
    remove_pressure(machine);
    machine.host.release = row.release;
    machine.host.add_file("/proc/cmdline", row.command_line);
    expect_answer(machine.ask(psi), row.answer);
  }
}

TEST(Psi, IsUnknownBehindAMaskedProc) {
  Machine machine;
  machine.host.add_file("/proc/pressure/memory", "");
  expect_answer(machine.ask(psi), {Status::unknown, ReasonCode::unreadable, "masked"});
  machine.host.errors["/proc/pressure/memory"] = EACCES;
  expect_answer(machine.ask(psi), {Status::unknown, ReasonCode::unreadable, "EACCES"});
  machine.host.errors["/proc/pressure/memory"] = EMFILE;
  expect_answer(machine.ask(psi), {Status::unknown, ReasonCode::out_of_resources, "EMFILE"});
  machine.host.errors.clear();
  remove_pressure(machine);
  machine.host.errors["/proc/cmdline"] = ENOENT;  // subset=pid
  expect_answer(machine.ask(psi), {Status::unknown, ReasonCode::unreadable, "masked"});
}

constexpr const char* parent = "/sys/fs/cgroup/zlayer/containers";

/// With a container parent.
struct Tree {
  FakeCgroupHost host;

  Tree() {
    host.make_cgroup("/zlayer/containers");
    for (const char* resource : {"cpu", "memory", "io"})
      host.add_file(std::string{"/proc/pressure/"} + resource,
                    "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  }

  Finding ask() {
    Subject subject{host, {}};
    for (const Probe& probe : catalogue())
      if (probe.id == psi) return run_probe(probe, subject);
    throw std::invalid_argument("no such probe");
  }
};

TEST(Psi, IsThereInTheContainerParent) {
  Tree tree;
  const Finding finding = tree.ask();
  expect_answer(finding, {Status::yes, ReasonCode::available});
  EXPECT_EQ(finding.evidence.back().source, std::string{parent} + "/memory.pressure");
}

TEST(Psi, CanBeTurnedOffInTheContainerParent) {
  Tree tree;
  tree.host.turn_pressure_off("/zlayer/containers");
  expect_answer(tree.ask(),
                {Status::no, ReasonCode::turned_off, "cgroup.pressure is 0", "container parent",
                 "echo 1 > /sys/fs/cgroup/zlayer/containers/cgroup.pressure"});
}

TEST(Psi, CanBeMissingFromEveryCgroup) {
  struct Row {
    int number;
    Answer answer;
  };
  for (const auto& [number, answer] :
       {Row{ENOENT, {Status::no, ReasonCode::turned_off, "cgroup_disable=pressure"}},
        Row{EOPNOTSUPP, {Status::no, ReasonCode::turned_off, "in cgroups", "psi=1"}},
        Row{EMFILE, {Status::unknown, ReasonCode::out_of_resources, "EMFILE"}},
        Row{EACCES, {Status::unknown, ReasonCode::permission_denied, "EACCES"}}}) {
    Tree tree;
    tree.host.fail(Op::read, std::string{parent} + "/memory.pressure", number);
    expect_answer(tree.ask(), answer);
  }
}

}  // namespace
}  // namespace surveyd::test
