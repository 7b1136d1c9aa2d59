#include "probes/network_trials.hpp"

#include <cerrno>

#include <gtest/gtest.h>

#include "probes/refusal.hpp"
#include "support/machine.hpp"

// What is made of an attempt to make a link or a table, and when none is made.

namespace surveyd::test {
namespace {

Finding claim(Status status, ReasonCode code) {
  Finding finding;
  finding.status = status;
  finding.code = code;
  finding.reason = "as claimed";
  finding.remedy = Remedy{"do it", "it"};
  return finding;
}

// With modules, none of which is loaded yet.
struct ModularMachine : Machine {
  ModularMachine() {
    host.add_file("/proc/version", "Linux version 6.1.0\n");
    host.add_file("/proc/modules", "");
    host.add_file("/proc/sys/kernel/osrelease", "6.1.0\n");
    host.add_file("/proc/sys/kernel/modules_disabled", "0\n");
  }
  std::string why_not(Status status, ReasonCode code, bool may_load = false) {
    Subject subject{host, {}};
    return probes::may_load_module(
        Trial{subject, claim(status, code), os_error(ENOENT, "none"), may_load});
  }
};

TEST(NetworkTrial, SparesAModuleThatIsNotLoaded) {
  ModularMachine machine;
  EXPECT_EQ(machine.why_not(Status::yes, ReasonCode::loadable),
            "not tried: the module would be loaded");
  EXPECT_EQ(machine.why_not(Status::unknown, ReasonCode::unreadable),
            "not tried: a module might be loaded");
  EXPECT_EQ(machine.why_not(Status::no, ReasonCode::kernel_lacks),
            "not tried: a module might be loaded");
}

TEST(NetworkTrial, IsMadeWhereItIsThereAlreadyOrModulesMayBeLoaded) {
  ModularMachine machine;
  EXPECT_EQ(machine.why_not(Status::yes, ReasonCode::available), "");
  EXPECT_EQ(machine.why_not(Status::yes, ReasonCode::loadable, true), "");
}

TEST(NetworkTrial, IsMadeWhereTheKernelLoadsNoModules) {
  ModularMachine disabled;
  disabled.host.add_file("/proc/sys/kernel/modules_disabled", "1\n");
  EXPECT_EQ(disabled.why_not(Status::unknown, ReasonCode::unreadable), "");
  ModularMachine without;
  without.host.nodes.erase("/proc/modules");
  without.host.nodes.erase("/proc/sys/kernel/modules_disabled");
  EXPECT_EQ(without.why_not(Status::unknown, ReasonCode::unreadable), "");
}

TEST(NetworkTrial, TakesAProcThatShowsProcessesOnlyForNoSign) {
  Machine machine;  // has none of these files
  Subject subject{machine.host, {}};
  const Trial trial{subject, claim(Status::unknown, ReasonCode::unreadable),
                    os_error(ENOENT, "none"), false};
  EXPECT_NE(probes::may_load_module(trial), "");
}

TEST(NetworkTrial, TakesAMaskedFileForNoSign) {
  ModularMachine machine;
  for (const char* path : {"/proc/modules", "/proc/sys/kernel/modules_disabled"})
    machine.host.errors[path] = EACCES;
  EXPECT_NE(machine.why_not(Status::unknown, ReasonCode::unreadable), "");
}

struct Row {
  int error_number;
  Status status;
  ReasonCode code;
};

// Of the request itself, in a namespace of its own.
constexpr Row rows[] = {{EOPNOTSUPP, Status::no, ReasonCode::kernel_lacks},
                        {524, Status::no, ReasonCode::kernel_lacks},
                        {EPROTONOSUPPORT, Status::no, ReasonCode::kernel_lacks},
                        {EPERM, Status::no, ReasonCode::refused},
                        {EACCES, Status::no, ReasonCode::refused},
                        {EAFNOSUPPORT, Status::no, ReasonCode::refused},
                        {EINVAL, Status::no, ReasonCode::refused},
                        {ENOMEM, Status::unknown, ReasonCode::out_of_resources},
                        {EMFILE, Status::unknown, ReasonCode::out_of_resources},
                        {ENOSYS, Status::unknown, ReasonCode::call_missing}};

probes::Attempts failed_with(int error_number, bool was_isolated) {
  probes::Attempts attempts;
  attempts.was_isolated = was_isolated;
  attempts.failure = probes::Failure{os_error(error_number, "RTM_NEWLINK bridge"), false};
  attempts.evidence.push_back({"with the own rights", {}, attempts.failure->error.code});
  return attempts;
}

TEST(NetworkTrial, SaysWhatEachErrnoMeans) {
  Machine machine;
  Subject subject{machine.host, {}};
  for (const Row& row : rows) {
    Trial trial{subject, claim(Status::yes, ReasonCode::available), os_error(ENOENT, "none"),
                false};
    const Finding finding =
        probes::conclude_in_network(trial, failed_with(row.error_number, true), "a bridge");
    EXPECT_EQ(finding.status, row.status) << row.error_number;
    EXPECT_EQ(finding.code, row.code) << row.error_number << to_string(finding.code);
    EXPECT_EQ(finding.basis, Basis::verified);
    EXPECT_FALSE(finding.remedy);
    ASSERT_FALSE(finding.evidence.empty());
    EXPECT_EQ(finding.evidence.back().error.value(), row.error_number);
  }
}

TEST(NetworkTrial, LeavesTheClaimWhereNoNamespaceCouldBeMade) {
  Machine machine;
  Subject subject{machine.host, {}};
  Trial trial{subject, claim(Status::yes, ReasonCode::available), os_error(ENOENT, "none"), false};
  const Finding finding = probes::conclude_in_network(trial, failed_with(EPERM, false), "a bridge");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.basis, Basis::claimed);
  EXPECT_EQ(finding.evidence.back().source, "not verified, with the own rights");
}

TEST(NetworkTrial, LeavesWhatAClaimKnowsBetter) {
  Machine machine;
  Subject subject{machine.host, {}};
  Trial trial{subject, claim(Status::no, ReasonCode::disabled_by_sysctl), os_error(ENOENT, "none"),
              false};
  const Finding finding =
      probes::conclude_in_network(trial, failed_with(EOPNOTSUPP, true), "a bridge");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.code, ReasonCode::disabled_by_sysctl);
  EXPECT_TRUE(finding.remedy);
}

// AppArmor's restriction of user namespaces has no part in what is tried in none.
TEST(RefusalInPlace, BlamesNothingThatWasNotAsked) {
  const Error error = os_error(EPERM, "bpf(BPF_PROG_LOAD, CGROUP_DEVICE)");
  const Finding surprising =
      probes::refused_in_place(claim(Status::yes, ReasonCode::available), error, "a program");
  EXPECT_EQ(surprising.code, ReasonCode::refused);
  EXPECT_FALSE(surprising.remedy);
  const Finding confirmed = probes::refused_in_place(
      claim(Status::no, ReasonCode::capability_missing), error, "a program");
  EXPECT_EQ(confirmed.code, ReasonCode::capability_missing);
  EXPECT_TRUE(confirmed.remedy);
  EXPECT_EQ(probes::refused_in_place(claim(Status::no, ReasonCode::capability_missing),
                                     os_error(ENOMEM, "bpf"), "a program")
                .status,
            Status::unknown);
}

}  // namespace
}  // namespace surveyd::test
