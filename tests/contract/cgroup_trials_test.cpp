#include "probes/cgroup_trials.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "contract/contract.hpp"

// What the verifications of cgroups do, on the fake and on the kernel, and what they make of it.

namespace surveyd::test {
namespace {

using probes::CgroupTrial;

Finding claim(Status status, ReasonCode code) {
  Finding finding;
  finding.id = "cgroup_delegation";
  finding.status = status;
  finding.code = code;
  finding.reason = "as claimed";
  finding.remedy = Remedy{"do it", "it"};
  return finding;
}

bool has_step(const CgroupTrial& trial, const std::string& source, const std::string& value) {
  return std::any_of(trial.evidence.begin(), trial.evidence.end(), [&](const Evidence& one) {
    return one.source.find(source) != std::string::npos &&
           (one.error ? errno_name(one.error) : one.value) == value;
  });
}

class TrialContract : public CgroupContract {
 protected:
  void SetUp() override {
    CgroupContract::SetUp();
    if (IsSkipped()) return;
    make(name_);
    place_ = tree + "/" + name_;
  }
  std::string place_;
};

TEST_P(TrialContract, a_directory_is_made_and_removed) {
  delegate_all("");
  delegate_all(name_);
  const CgroupTrial trial = probes::try_directory(host(), place_);
  EXPECT_FALSE(trial.failure);
  EXPECT_EQ(trial.usable, offered());
  EXPECT_TRUE(has_step(trial, "mkdir(" + place_ + "/surveyd-verify-*)", "0"));
  EXPECT_TRUE(has_step(trial, "rmdir(", "0"));
  EXPECT_EQ(children(name_), Names{});
  EXPECT_EQ(words(name_ + "/cgroup.subtree_control"), offered());
}

TEST_P(TrialContract, nothing_is_enabled_in_the_place_itself) {
  delegate_all("");
  const CgroupTrial trial = probes::try_directory(host(), place_);
  EXPECT_FALSE(trial.failure);
  EXPECT_EQ(trial.usable, Names{});
  EXPECT_EQ(words(name_ + "/cgroup.subtree_control"), Names{});
}

TEST_P(TrialContract, a_process_lives_and_dies_in_a_container_s_cgroup) {
  delegate_all("");
  delegate_all(name_);
  make(name_ + "/origin");
  const int pid = world_->start_process(name_ + "/origin");
  const CgroupTrial trial = probes::try_container(host(), place_, pid);
  EXPECT_FALSE(trial.failure) << to_string(trial.failure->error);
  EXPECT_TRUE(has_step(trial, "move a process into", "0"));
  EXPECT_TRUE(has_step(trial, "kill, and wait", "0"));
  const bool has_pids =
      std::find(trial.usable.begin(), trial.usable.end(), "pids") != trial.usable.end();
  EXPECT_EQ(has_step(trial, "write(64, ", "0"), has_pids);
  EXPECT_EQ(children(name_), Names{"origin"});
}

TEST_P(TrialContract, a_read_only_tree_refuses) {
  const std::string answer = run_in(name_, View::read_only, [this](Host& seen) {
    const CgroupTrial trial = probes::try_directory(seen, place_);
    if (!trial.failure) return std::string{"it works"};
    const Finding finding = probes::refused_by_tree(claim(Status::yes, ReasonCode::available),
                                                    trial, "a directory in " + place_);
    return std::string{to_string(finding.status)} + " " + to_string(finding.code) + " " +
           finding.reason;
  });
  EXPECT_EQ(answer, "no refused a directory in " + place_ + " was tried and refused: mkdir " +
                        place_ + "/surveyd-verify-*: EROFS: Read-only file system");
}

TEST_P(TrialContract, below_a_threaded_cgroup_no_container_can_live) {
  if (threaded().empty() || !host().stat(tree + "/" + name_ + "/cgroup.type"))
    GTEST_SKIP() << no_threaded;
  make(name_ + "/a");
  write(name_ + "/a/cgroup.type", "threaded");
  const int pid = world_->start_process(name_);
  const CgroupTrial trial = probes::try_container(host(), place_ + "/a", pid);
  ASSERT_TRUE(trial.failure);
  EXPECT_EQ(probes::refused_by_tree(claim(Status::yes, ReasonCode::available), trial, "it").code,
            ReasonCode::threaded);
  EXPECT_EQ(children(name_ + "/a"), Names{});
}

TEST_P(TrialContract, a_limit_of_the_tree_is_named) {
  write(name_ + "/cgroup.max.descendants", "0");
  const CgroupTrial trial = probes::try_directory(host(), place_);
  ASSERT_TRUE(trial.failure);
  const Finding finding =
      probes::refused_by_tree(claim(Status::yes, ReasonCode::available), trial, "it");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.code, ReasonCode::limit_reached);
  EXPECT_NE(finding.reason.find("cgroup.max.descendants"), std::string::npos) << finding.reason;
}

INSTANTIATE_TEST_SUITE_P(worlds, TrialContract, worlds(), name_of_world);

// What each errno of each step means, on the fake alone.

struct Row {
  Op op;
  const char* below;  // the place, "*" being the scratch cgroup
  int error_number;
  Status status;
  ReasonCode code;
};

constexpr Row rows[] = {
    {Op::mkdir, "/*", EACCES, Status::no, ReasonCode::refused},
    {Op::mkdir, "/*", EPERM, Status::no, ReasonCode::refused},
    {Op::mkdir, "/*", EROFS, Status::no, ReasonCode::refused},
    {Op::mkdir, "/*", EAGAIN, Status::no, ReasonCode::limit_reached},
    {Op::mkdir, "/*", ENOSPC, Status::no, ReasonCode::limit_reached},
    {Op::mkdir, "/*", ENOMEM, Status::unknown, ReasonCode::out_of_resources},
    {Op::enter, "", EMFILE, Status::unknown, ReasonCode::out_of_resources},
    {Op::enter, "/*", EMFILE, Status::unknown, ReasonCode::out_of_resources},
    {Op::write, "/*/cgroup.procs", EACCES, Status::no, ReasonCode::refused},
    {Op::write, "/*/cgroup.procs", EMFILE, Status::unknown, ReasonCode::out_of_resources},
    {Op::write, "/*/cgroup.procs", EOPNOTSUPP, Status::no, ReasonCode::threaded},
    {Op::write, "/*/pids.max", EINVAL, Status::no, ReasonCode::misbehaves},
    {Op::write, "/*/pids.max", ENOMEM, Status::unknown, ReasonCode::out_of_resources},
    {Op::write, "/*/cgroup.kill", EACCES, Status::no, ReasonCode::misbehaves},
    {Op::rmdir, "/*", EBUSY, Status::no, ReasonCode::misbehaves},
};

TEST(CgroupTrialErrnos, EachSaysWhatItMeansAndLeavesNothing) {
  for (const Row& row : rows) {
    FakeCgroupHost host;
    host.make_cgroup("/a");
    host.delegate("/", {"pids", "memory"});
    host.delegate("/a", {"pids", "memory"});
    const int pid = host.start_process("/");
    const std::string scratch = "surveyd-verify-" +
                                std::to_string(host.stat("/proc/self/ns/pid").value().inode) + "-" +
                                std::to_string(::getpid()) + "-1-1";
    std::string path = tree + "/a" + row.below;
    if (const auto star = path.find('*'); star != std::string::npos) path.replace(star, 1, scratch);
    host.fail(row.op, path, row.error_number);
    const CgroupTrial trial = probes::try_container(host, tree + "/a", pid);
    ASSERT_TRUE(trial.failure) << path;
    for (const auto& [status, code] : {std::pair{Status::yes, ReasonCode::available},
                                       {Status::no, ReasonCode::not_ensured},
                                       {Status::unknown, ReasonCode::unreadable}}) {
      const Finding finding = probes::refused_by_tree(claim(status, code), trial, "it");
      EXPECT_EQ(finding.status, row.status) << path << row.error_number;
      EXPECT_EQ(finding.code, row.code) << path << row.error_number << to_string(finding.code);
      EXPECT_EQ(finding.basis, Basis::verified);
    }
    EXPECT_EQ(host.cgroups(), Names{"/a"}) << path << row.error_number;
  }
}

TEST(CgroupTrialErrnos, AClaimThatWasNoKeepsItsReasonAndRemedy) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  host.mount_read_only(true);
  const CgroupTrial trial = probes::try_directory(host, tree + "/a");
  const Finding finding =
      probes::refused_by_tree(claim(Status::no, ReasonCode::read_only), trial, "it");
  EXPECT_EQ(finding.code, ReasonCode::read_only);
  EXPECT_EQ(finding.basis, Basis::verified);
  EXPECT_TRUE(finding.remedy);
  EXPECT_EQ(finding.reason.find("as claimed (tried: mkdir "), 0U) << finding.reason;
}

TEST(CgroupTrialErrnos, WhatDoesNotDieIsUnknown) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  const int pid = host.start_process("/a");
  host.make_unkillable(pid);
  const CgroupTrial trial = probes::try_container(host, tree + "/a", pid);
  ASSERT_TRUE(trial.failure);
  const Finding finding =
      probes::refused_by_tree(claim(Status::yes, ReasonCode::available), trial, "it");
  EXPECT_EQ(finding.status, Status::unknown);
  EXPECT_EQ(finding.code, ReasonCode::timed_out);
  host.end_process(pid);
}

TEST(CgroupTrialErrnos, AControllerThatCannotBeEnabledIsSaidAndNoFailure) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  host.delegate("/", {"cpu", "memory"});
  host.delegate("/a", {"cpu", "memory"});
  host.refuse("cpu", EINVAL);
  const CgroupTrial trial = probes::try_directory(host, tree + "/a");
  EXPECT_FALSE(trial.failure);
  EXPECT_EQ(trial.usable, Names{"memory"});
  EXPECT_TRUE(has_step(trial, "write(+cpu, ", "EINVAL"));
}

}  // namespace
}  // namespace surveyd::test
