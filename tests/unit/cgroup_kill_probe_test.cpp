#include <cerrno>

#include <gtest/gtest.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

const std::string top = cgroup_root;

Finding ask(const Machine& machine) {
  return machine.ask("cgroup_kill");
}

TEST(CgroupKill, IsSeenInTheOwnCgroup) {
  Machine machine;
  machine.add_cgroup("own.scope", "pids\n");
  machine.host.add_file("/proc/self/cgroup", "0::/own.scope\n");
  machine.host.add_file(top + "/own.scope/cgroup.kill", "");
  expect_answer(ask(machine), {Status::yes, ReasonCode::available, "/own.scope/cgroup.kill"});
}

TEST(CgroupKill, IsSeenAtTheRootOfAnOwnCgroupNamespace) {
  Machine machine;
  machine.host.add_file(top + "/cgroup.type", "domain\n");
  machine.host.add_file(top + "/cgroup.kill", "");
  expect_answer(ask(machine), {Status::yes, ReasonCode::available, top + "/cgroup.kill"});
}

TEST(CgroupKill, IsSeenInAnyCgroupBelowTheRoot) {
  Machine machine;
  machine.add_cgroup("zlayer", "pids\n");
  machine.host.add_file(top + "/zlayer/cgroup.kill", "");
  expect_answer(ask(machine), {Status::yes, ReasonCode::available, "/zlayer/cgroup.kill"});
}

TEST(CgroupKill, IsThereOnAKernelThatGotItLater) {
  Machine machine;
  machine.host.release = "4.18.0-553.el8";
  machine.add_cgroup("zlayer", "pids\n");
  machine.host.add_file(top + "/zlayer/cgroup.kill", "");
  expect_answer(ask(machine), {Status::yes, ReasonCode::available});
}

TEST(CgroupKill, IsMissingFromAnOldKernel) {
  Machine machine;
  machine.host.release = "5.13.19";
  expect_answer(ask(machine), {Status::no, ReasonCode::kernel_too_old, "5.14"});
  machine.add_cgroup("zlayer", "pids\n");
  expect_answer(ask(machine), {Status::no, ReasonCode::kernel_too_old, "5.14"});
}

TEST(CgroupKill, IsTakenFromTheVersionWhereOnlyTheRootIsInSight) {
  Machine machine;
  expect_answer(ask(machine), {Status::yes, ReasonCode::available, "since 5.14"});
  machine.host.release = "custom";
  expect_answer(ask(machine), {Status::unknown, ReasonCode::unreadable, "custom"});
}

TEST(CgroupKill, IsInDoubtWhereTheFileShouldBeAndIsNot) {
  Machine machine;
  machine.add_cgroup("zlayer", "pids\n");
  expect_answer(ask(machine), {Status::unknown, ReasonCode::unreadable, "is not there"});
  machine.host.errors[top + "/zlayer/cgroup.kill"] = EMFILE;
  expect_answer(ask(machine), {Status::unknown, ReasonCode::out_of_resources});
}

TEST(CgroupKill, IsTakenFromTheVersionWhenTheCgroupIsRemovedMeanwhile) {
  Machine machine;
  machine.host.add_directory(top + "/gone");
  expect_answer(ask(machine), {Status::yes, ReasonCode::available, "since 5.14"});
}

TEST(CgroupKill, NeedsCgroupV2) {
  const std::string v1 = "36 24 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
  const std::string v2 = "37 24 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  Machine machine;
  machine.host.mounts[cgroup_root] = {.magic = tmpfs_magic};
  machine.host.add_file("/proc/self/mountinfo", v1 + v2);
  expect_answer(ask(machine), {Status::no, ReasonCode::hybrid_hierarchy, "", "cgroup v2"});
  machine.host.add_file("/proc/self/mountinfo", v1);
  expect_answer(ask(machine), {Status::no, ReasonCode::cgroup_v1, "", "cgroup v2"});
  machine.host.add_file("/proc/self/mountinfo", "");
  expect_answer(ask(machine), {Status::no, ReasonCode::cgroup_not_mounted});
}

TEST(CgroupKill, IsInDoubtWhereTheHierarchyIs) {
  Machine machine;
  machine.host.errors[cgroup_root] = EACCES;
  expect_answer(ask(machine), {Status::unknown, ReasonCode::permission_denied});
}

}  // namespace
}  // namespace surveyd::test
