// clone3, openat2 and pidfd: what the calls answer, and who gives that answer.

#include <cerrno>

#include <gtest/gtest.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

struct CallRow {
  const char* id;
  KernelCall call;
  const char* before;  // the last release without it
  const char* since;
};

constexpr CallRow calls[] = {{"clone3", KernelCall::clone3, "5.2.0", "Linux 5.3"},
                             {"openat2", KernelCall::openat2, "5.5.19", "Linux 5.6"},
                             {"pidfd", KernelCall::pidfd_open, "5.2.0", "Linux 5.3"},
                             {"pidfd", KernelCall::pidfd_send_signal, "5.0.0", "Linux 5.1"}};

struct Answering : Machine {
  Answering(const CallRow& row, int number, int filter = 2) {
    host.call_answers[row.call] = number;
    host.identity.seccomp_mode = filter;
  }
};

void enter_container(Machine& machine) {
  machine.set_namespace("pid", 4026532000);
}

TEST(SystemCall, IsThereWhenTheKernelItselfObjects) {
  for (const CallRow& row : calls)
    for (const int number : {EINVAL, EFAULT, EBADF, ESRCH, E2BIG})
      expect_answer(Answering{row, number}.ask(row.id), {Status::yes, ReasonCode::available});
}

TEST(SystemCall, IsFilteredWhenANewerKernelSeemsToLackIt) {
  for (const CallRow& row : calls)
    expect_answer(Answering{row, ENOSYS}.ask(row.id),
                  {Status::no, ReasonCode::call_filtered, "ENOSYS", "surveyd is started under"});
}

TEST(SystemCall, IsFilteredWhenItIsRefused) {
  for (const CallRow& row : calls) {
    for (const int number : {EPERM, EACCES, EOPNOTSUPP}) {
      Answering machine{row, number};
      expect_answer(machine.ask(row.id),
                    {Status::no, ReasonCode::call_filtered, "refuses", "surveyd is started under"});
      enter_container(machine);
      expect_answer(machine.ask(row.id), {Status::no, ReasonCode::call_filtered, "refuses",
                                          "--security-opt seccomp=unconfined"});
    }
  }
}

TEST(SystemCall, IsPassedByTheFilterOfTheService) {
  for (const CallRow& row : calls) {
    Answering machine{row, EPERM};
    machine.host.add_file("/proc/self/cgroup", "0::/system.slice/surveyd.service\n");
    expect_answer(machine.ask(row.id), {Status::no, ReasonCode::call_filtered, "refuses",
                                        "add it to SystemCallFilter="});
  }
}

// RestrictNamespaces= and RestrictSUIDSGID= of systemd answer ENOSYS to calls whose arguments a
// filter cannot see.
TEST(SystemCall, IsPassedByTheSettingOfTheUnitThatFiltersIt) {
  const std::pair<CallRow, const char*> rows[] = {
      {calls[0], "surveyd.service pass clone3: RestrictNamespaces=no"},
      {calls[1], "surveyd.service pass openat2: RestrictSUIDSGID=no"}};
  for (const auto& [row, remedy] : rows) {
    Answering machine{row, ENOSYS};
    machine.host.add_file("/proc/self/cgroup", "0::/system.slice/surveyd.service\n");
    expect_answer(machine.ask(row.id), {Status::no, ReasonCode::call_filtered, "ENOSYS", remedy});
  }
}

TEST(SystemCall, HasTheErrnoAmongItsEvidence) {
  for (const CallRow& row : calls) {
    for (const int number : {EPERM, ENOSYS}) {
      const Finding finding = Answering{row, number}.ask(row.id);
      bool found = false;
      for (const Evidence& one : finding.evidence) found |= one.error.value() == number;
      EXPECT_TRUE(found) << row.id;
    }
  }
}

TEST(SystemCall, IsMissingFromAnOldKernel) {
  for (const CallRow& row : calls) {
    Answering machine{row, ENOSYS};
    machine.host.release = row.before;
    expect_answer(machine.ask(row.id), {Status::no, ReasonCode::kernel_too_old, row.since});
  }
}

TEST(SystemCall, IsMissingWithoutAFilterThatCouldSaySo) {
  for (const CallRow& row : calls)
    expect_answer(Answering{row, ENOSYS, 0}.ask(row.id),
                  {Status::no, ReasonCode::call_missing, "no seccomp filter"});
}

TEST(SystemCall, IsMissingForEitherReasonFromAKernelWithoutAVersion) {
  for (const CallRow& row : calls) {
    Answering machine{row, ENOSYS};
    machine.host.release = "custom";
    expect_answer(machine.ask(row.id), {Status::no, ReasonCode::call_missing, "or a filter"});
  }
}

TEST(SystemCall, IsFilteredWhenItAcceptsWhatCannotBe) {
  for (const CallRow& row : calls)
    expect_answer(Answering{row, 0}.ask(row.id),
                  {Status::no, ReasonCode::call_filtered, "in the kernel's place"});
}

TEST(SystemCall, IsUnknownWhenOnlyWeFailed) {
  for (const CallRow& row : calls)
    for (const int number : {EMFILE, ENOMEM, EAGAIN})
      expect_answer(Answering{row, number}.ask(row.id),
                    {Status::unknown, ReasonCode::out_of_resources});
}

TEST(Clone3, RefusedWithEpermBreaksTheCLibrary) {
  expect_answer(Answering{calls[0], EPERM}.ask("clone3"),
                {Status::no, ReasonCode::call_filtered, "glibc", "surveyd is started under"});
  const Finding fallen_back = Answering{calls[0], ENOSYS}.ask("clone3");
  EXPECT_EQ(fallen_back.reason.find("glibc"), std::string::npos);
}

TEST(Pidfd, IsDecidedByTheClearNoOfEitherCall) {
  Answering machine{calls[2], EMFILE};
  machine.host.call_answers[KernelCall::pidfd_send_signal] = EPERM;
  expect_answer(machine.ask("pidfd"), {Status::no, ReasonCode::call_filtered, "pidfd_send_signal",
                                       "surveyd is started under"});
  machine.host.call_answers[KernelCall::pidfd_send_signal] = EBADF;
  EXPECT_EQ(machine.status("pidfd"), Status::unknown);
}

}  // namespace
}  // namespace surveyd::test
