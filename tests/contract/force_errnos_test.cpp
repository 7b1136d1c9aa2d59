#include <gtest/gtest.h>

#include <surveyd/cgroup_tree.hpp>

#include "support/fake_cgroup_host.hpp"

// What a removal by force, and a look at containers, do about each errno and about time: on the
// fake, which can be told to fail.

namespace surveyd::test {
namespace {

using Names = std::vector<std::string>;
using namespace std::chrono_literals;

const std::string machine_tree = "/sys/fs/cgroup";

class ForceErrnos : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(tree_.ensure(Placement::host));
    host_.make_cgroup(container_);
  }

  static ContainerId id() { return ContainerId::parse("c1").value(); }

  // The first one, or the next one for the cgroup that is pending.
  std::string step() {
    const auto step =
        inode_ == 0 ? tree_.remove_container_by_force(id()) : tree_.continue_removal(id(), inode_);
    inode_ = step ? step->inode : 0;
    if (!step) {
      const std::string name = errno_name(step.error().code);
      return "failed: " + (name.empty() ? step.error().code.message() : name);
    }
    if (!step->done) return "pending";
    return step->done->removed ? "removed" : "absent";
  }
  int start() { return host_.start_process(container_, "worker"); }
  static std::string file(const std::string& name) {
    return machine_tree + container_ + "/" + name;
  }

  inline static const std::string container_ = "/zlayer/containers/c1";
  FakeCgroupHost host_;
  CgroupTree tree_{host_, {}};
  std::uint64_t inode_ = 0;
};

TEST_F(ForceErrnos, events_are_open_before_anything_is_killed) {
  (void)start();
  host_.before(Op::write, file("cgroup.kill"),
               [this] { EXPECT_EQ(host_.calls(Op::watch), Names{file("cgroup.events")}); });
  EXPECT_EQ(step(), "removed");
}

TEST_F(ForceErrnos, what_survives_the_kill_is_pending_and_nobody_waits_for_it) {
  const int pid = start();
  host_.make_unkillable(pid);
  EXPECT_EQ(step(), "pending");
  EXPECT_EQ(step(), "pending");
  EXPECT_EQ(host_.pauses(), 0);
  const Error error = tree_.explain_remnant(id(), inode_);
  EXPECT_EQ(error.code, Fault::timed_out);
  EXPECT_EQ(error.path, container_);
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, pid);
  EXPECT_EQ(error.processes[0].state, 'D');
  host_.end_process(pid);
  EXPECT_EQ(step(), "removed");
}

TEST_F(ForceErrnos, only_those_that_cannot_be_killed_are_named_when_there_are_any) {
  const int stuck = start();
  host_.make_unkillable(stuck);
  EXPECT_EQ(step(), "pending");
  (void)host_.start_process(container_, "newcomer");
  const Error error = tree_.explain_remnant(id(), inode_);
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, stuck);
}

TEST_F(ForceErrnos, who_comes_in_later_is_killed_by_the_next_step) {
  const int stuck = start();
  host_.make_unkillable(stuck);
  EXPECT_EQ(step(), "pending");
  (void)start();
  host_.end_process(stuck);
  EXPECT_EQ(step(), "removed");
}

TEST_F(ForceErrnos, a_later_container_of_the_same_name_is_not_touched) {
  host_.make_unkillable(start());
  EXPECT_EQ(step(), "pending");
  host_.destroy_cgroup(container_);
  host_.make_cgroup(container_);
  const int other = start();
  EXPECT_EQ(step(), "removed");  // the one that was meant
  EXPECT_TRUE(host_.exists(container_));
  EXPECT_EQ(host_.cgroup_of(other), container_);
}

TEST_F(ForceErrnos, what_another_caller_has_finished_is_done) {
  const int pid = start();
  host_.make_unkillable(pid);
  EXPECT_EQ(step(), "pending");
  host_.end_process(pid);
  EXPECT_TRUE(tree_.remove_container_by_force(id())->done->removed);
  host_.make_cgroup(container_);
  const int other = start();
  EXPECT_EQ(step(), "removed");
  EXPECT_EQ(host_.cgroup_of(other), container_);
}

TEST_F(ForceErrnos, a_new_request_means_the_cgroup_that_is_there_now) {
  host_.make_unkillable(start());
  EXPECT_EQ(step(), "pending");
  host_.destroy_cgroup(container_);
  host_.make_cgroup(container_);
  const int other = start();
  EXPECT_TRUE(tree_.remove_container_by_force(id())->done->removed);
  EXPECT_EQ(host_.cgroup_of(other), "");
  EXPECT_FALSE(host_.exists(container_));
}

TEST_F(ForceErrnos, one_that_is_exchanged_before_the_rmdir_is_not_touched) {
  (void)start();
  // Looked at when it is found, and again right before it is removed.
  host_.before(Op::stat, machine_tree + container_, [this] {
    host_.before(Op::stat, machine_tree + container_, [this] {
      host_.destroy_cgroup(container_);
      host_.make_cgroup(container_);
    });
  });
  EXPECT_EQ(step(), "removed");
  EXPECT_TRUE(host_.exists(container_));
}

TEST_F(ForceErrnos, without_cgroup_kill_each_process_is_killed_while_all_stand_still) {
  host_.remove_kill_file();
  host_.make_cgroup(container_ + "/a");
  const int first = start();
  const int second = host_.start_process(container_ + "/a");
  host_.before(Op::kill, std::to_string(first),
               [this] { EXPECT_TRUE(host_.is_frozen(container_)); });
  EXPECT_EQ(step(), "removed");
  EXPECT_EQ(host_.cgroup_of(first) + host_.cgroup_of(second), "");
}

TEST_F(ForceErrnos, without_cgroup_kill_it_thaws_whatever_happens) {
  host_.remove_kill_file();
  const int pid = start();
  host_.fail(Op::kill, std::to_string(pid), EPERM);
  EXPECT_EQ(step(), "failed: EPERM");
  EXPECT_FALSE(host_.is_frozen(container_));
  host_.make_unkillable(pid);
  EXPECT_EQ(step(), "pending");
  EXPECT_FALSE(host_.is_frozen(container_));
}

TEST_F(ForceErrnos, without_cgroup_kill_a_number_that_means_somebody_else_by_now_is_spared) {
  host_.remove_kill_file();
  host_.make_cgroup("/elsewhere");
  const int pid = start();
  host_.before(Op::kill, std::to_string(pid), [&] {
    host_.end_process(pid);
    // The next one gets the number of the one before it, plus one: so that both are tried.
    (void)host_.start_process("/elsewhere");
  });
  EXPECT_EQ(step(), "removed");
  EXPECT_EQ(host_.cgroup_of(pid + 1), "/elsewhere");
}

TEST_F(ForceErrnos, without_cgroup_kill_pid_0_is_nobody_s_group) {
  host_.remove_kill_file();
  host_.start_foreign_process(container_);
  EXPECT_EQ(step(), "pending");
  EXPECT_EQ(host_.calls(Op::kill), Names{});
}

TEST_F(ForceErrnos, a_refusal_ends_it_and_is_reported) {
  for (const int error_number : {EACCES, EPERM, EROFS, EOPNOTSUPP}) {
    const int pid = start();
    host_.fail(Op::write, file("cgroup.kill"), error_number);
    const std::string refusal = step();
    EXPECT_EQ(refusal.substr(0, 7), "failed:") << refusal;
    EXPECT_EQ(host_.cgroup_of(pid), container_);
    host_.end_process(pid);
  }
  EXPECT_EQ(step(), "removed");
}

TEST_F(ForceErrnos, what_is_busy_after_all_is_tried_again) {
  host_.make_cgroup(container_ + "/a");
  (void)start();
  host_.fail(Op::rmdir, file("a"), EBUSY);
  EXPECT_EQ(step(), "pending");
  EXPECT_EQ(step(), "removed");
}

TEST_F(ForceErrnos, ENOENT_of_one_file_does_not_mean_that_the_cgroup_is_gone) {
  (void)start();
  EXPECT_EQ(host_.exists(container_), true);
  host_.fail(Op::rmdir, machine_tree + container_, ENOENT);
  EXPECT_EQ(step(), "failed: ENOENT");
  EXPECT_TRUE(host_.exists(container_));
}

// Somebody outside of it makes cgroups faster than they are removed.
TEST_F(ForceErrnos, one_step_ends_even_if_there_is_always_more) {
  std::function<void()> more = [&] {
    host_.make_cgroup(container_ + "/more");
    host_.pass(1ms);
    host_.before(Op::list, machine_tree + container_, more);
  };
  host_.before(Op::list, machine_tree + container_, more);
  (void)start();
  const auto first = tree_.remove_container_by_force(id());
  EXPECT_FALSE(first->done);
  EXPECT_TRUE(first->cut_short);
}

class ContainerAge : public ForceErrnos {
 protected:
  ContainerCgroup look() { return tree_.list_containers()->containers.at(0); }
};

TEST_F(ContainerAge, a_container_is_an_orphan_after_a_minute_without_anybody) {
  EXPECT_FALSE(look().orphaned);
  host_.pass(60s);
  EXPECT_FALSE(look().orphaned);
  host_.pass(1s);
  EXPECT_TRUE(look().orphaned);
  EXPECT_EQ(host_.today() - *look().empty_since, 61s);
}

TEST_F(ContainerAge, a_process_makes_it_no_orphan_and_the_minute_begins_anew) {
  (void)look();
  host_.pass(61s);
  const int pid = start();
  EXPECT_FALSE(look().orphaned);
  EXPECT_EQ(look().empty_since, std::nullopt);
  host_.end_process(pid);
  EXPECT_FALSE(look().orphaned);
}

TEST_F(ContainerAge, what_ran_between_two_looks_shows_in_the_processor_time) {
  (void)look();
  host_.pass(61s);
  host_.use_processor(container_);
  EXPECT_FALSE(look().orphaned);
  host_.pass(61s);
  EXPECT_TRUE(look().orphaned);
}

TEST_F(ContainerAge, a_later_one_of_the_same_name_is_young) {
  (void)look();
  host_.pass(61s);
  host_.destroy_cgroup(container_);
  host_.make_cgroup(container_);
  EXPECT_FALSE(look().orphaned);
}

TEST_F(ContainerAge, the_short_look_takes_note_as_well) {
  (void)tree_.survey_containers();
  host_.pass(61s);
  EXPECT_TRUE(tree_.survey_containers()->containers.at(0).orphaned);
}

}  // namespace
}  // namespace surveyd::test
