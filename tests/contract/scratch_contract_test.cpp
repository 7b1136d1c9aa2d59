#include "cgroup/scratch_cgroup.hpp"
#include "contract/contract.hpp"
#include "parse/proc_stat.hpp"

// The scratch cgroups of verifications, on the fake and on the kernel.

namespace surveyd::test {
namespace {

using cgroup::ScratchCgroup;

class ScratchContract : public CgroupContract {
 protected:
  void SetUp() override {
    CgroupContract::SetUp();
    if (IsSkipped()) return;
    make(name_);
    place_ = tree + "/" + name_;
  }

  std::string numbers_of(const std::string& process) {
    const auto text = host().read("/proc/" + process + "/stat");
    const auto stat = text ? parse::process_stat(*text) : std::nullopt;
    return process + "-" + std::to_string(stat ? stat->start_time : 0);
  }
  // As a maker in our pid namespace would have named it, unless another one is given.
  std::string leftover_of(const std::string& numbers, std::uint64_t pid_namespace = 0) {
    if (pid_namespace == 0) pid_namespace = host().stat("/proc/self/ns/pid").value().inode;
    const std::string left =
        "surveyd-verify-" + std::to_string(pid_namespace) + "-" + numbers + "-1";
    make(name_ + "/" + left);
    return left;
  }
  Names left() { return children(name_); }

  std::string place_;
};

TEST_P(ScratchContract, one_is_made_and_removed_with_its_end) {
  {
    const auto scratch = ScratchCgroup::make(host(), place_);
    ASSERT_TRUE(scratch) << to_string(scratch.error());
    EXPECT_EQ(left(), Names{scratch->name()});
    EXPECT_TRUE(is_cgroup_name(scratch->name()));
    EXPECT_TRUE(cgroup::is_scratch(scratch->name()));
  }
  EXPECT_EQ(left(), Names{});
}

TEST_P(ScratchContract, one_process_may_have_several) {
  const auto one = ScratchCgroup::make(host(), place_);
  const auto other = ScratchCgroup::make(host(), place_);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(left().size(), 2U);
}

TEST_P(ScratchContract, it_has_the_controllers_that_its_place_delegates) {
  delegate_all("");
  delegate_all(name_);
  auto scratch = ScratchCgroup::make(host(), place_).value();
  EXPECT_EQ(scratch.controllers().value(), offered());
  for (const std::string& controller : offered()) {
    const auto enabled = scratch.enable(controller);
    EXPECT_TRUE(enabled) << controller << to_string(enabled.error());
  }
  EXPECT_TRUE(scratch.remove());
}

TEST_P(ScratchContract, what_is_not_delegated_cannot_be_enabled) {
  auto scratch = ScratchCgroup::make(host(), place_).value();
  EXPECT_EQ(scratch.controllers().value(), Names{});
  for (const std::string& controller : offered())
    EXPECT_EQ(errno_name(scratch.enable(controller).error().code), "ENOENT");
}

TEST_P(ScratchContract, a_process_is_taken_in_and_killed_and_it_is_removed) {
  const int pid = world_->start_process(name_);
  auto scratch = ScratchCgroup::make(host(), place_).value();
  const auto taken = scratch.take_in(pid);
  ASSERT_TRUE(taken) << to_string(taken.error());
  EXPECT_EQ(errno_name(scratch.remove().error().code), "EBUSY");
  const auto killed = scratch.kill();
  EXPECT_TRUE(killed) << to_string(killed.error());
  const auto removed = scratch.remove();
  EXPECT_TRUE(removed) << to_string(removed.error());
  EXPECT_EQ(left(), Names{});
}

TEST_P(ScratchContract, what_lives_in_it_ends_with_it) {
  const int pid = world_->start_process(name_);
  {
    auto scratch = ScratchCgroup::make(host(), place_).value();
    ASSERT_TRUE(scratch.take_in(pid));
  }
  EXPECT_EQ(left(), Names{});
}

TEST_P(ScratchContract, what_a_killed_maker_left_is_removed_by_the_next) {
  const std::string maker = std::to_string(world_->start_process(name_));
  const std::string left_behind = leftover_of(numbers_of(maker));
  world_->end_process(std::stoi(maker));
  const auto scratch = ScratchCgroup::make(host(), place_);
  ASSERT_TRUE(scratch);
  EXPECT_EQ(left(), Names{scratch->name()}) << left_behind;
}

TEST_P(ScratchContract, a_pid_that_was_given_to_another_is_told_by_its_start_time) {
  (void)leftover_of(std::to_string(world_->start_process(name_)) + "-7");
  cgroup::sweep_scratch(host(), place_);
  EXPECT_EQ(left(), Names{});
}

TEST_P(ScratchContract, what_a_living_maker_has_stays) {
  const std::string maker = std::to_string(world_->start_process(name_));
  const std::string in_use = leftover_of(numbers_of(maker));
  cgroup::sweep_scratch(host(), place_);
  EXPECT_EQ(left(), Names{in_use});
}

TEST_P(ScratchContract, of_another_pid_namespace_only_what_is_old_is_removed) {
  const std::string young = leftover_of("1-1", 4026530000);
  cgroup::sweep_scratch(host(), place_);
  EXPECT_EQ(left(), Names{young});
}

TEST_P(ScratchContract, what_is_populated_or_somebody_else_s_stays) {
  const std::string occupied = leftover_of("999999999-7");
  (void)world_->start_process(name_ + "/" + occupied);
  for (const char* name : {"web1", "surveyd-verify-x", "surveyd-verify-1-2"})
    make(name_ + "/" + name);
  const Names before = left();
  cgroup::sweep_scratch(host(), place_);
  EXPECT_EQ(left(), before);
}

TEST_P(ScratchContract, no_list_of_containers_shows_it) {
  CgroupTree here{host(), {name_}};
  ASSERT_TRUE(here.ensure(Placement::host));
  make(name_ + "/containers/web1");
  const auto scratch = ScratchCgroup::make(host(), place_ + "/containers");
  ASSERT_TRUE(scratch);
  const auto list = here.list_containers().value();
  ASSERT_EQ(list.containers.size(), 1U);
  EXPECT_EQ(list.containers.front().id, "web1");
}

TEST_P(ScratchContract, nothing_is_made_outside_of_cgroup2) {
  const auto scratch = ScratchCgroup::make(host(), world_->playground());
  ASSERT_FALSE(scratch);
  EXPECT_EQ(scratch.error().code, Fault::no_usable_cgroup2);
  EXPECT_EQ(host().list(world_->playground()).value().size(), 6U);
}

TEST_P(ScratchContract, a_limit_of_the_tree_is_said_with_its_errno) {
  write(name_ + "/cgroup.max.descendants", "0");
  EXPECT_EQ(errno_name(ScratchCgroup::make(host(), place_).error().code), "EAGAIN");
  const std::string made = run_in(name_, View::read_only, [this](Host& seen) {
    const auto scratch = ScratchCgroup::make(seen, place_);
    return scratch ? std::string{"made"} : errno_name(scratch.error().code);
  });
  EXPECT_EQ(made, "EROFS");
}

INSTANTIATE_TEST_SUITE_P(On, ScratchContract, worlds(), name_of_world);

// What only the fake can show.

TEST(ScratchCgroupOnTheFake, an_old_leftover_of_another_pid_namespace_is_removed) {
  FakeCgroupHost host;
  host.make_cgroup("/a/surveyd-verify-4026530000-1-1-1");
  host.make_cgroup("/a/surveyd-verify-0-0-0-1");  // of one without /proc
  host.pass(std::chrono::seconds{61});
  cgroup::sweep_scratch(host, tree + "/a");
  EXPECT_EQ(host.cgroups(), Names{"/a"});
}

TEST(ScratchCgroupOnTheFake, without_cgroup_kill_its_members_are_killed) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  host.remove_kill_file();
  const int pid = host.start_process("/a");
  auto scratch = ScratchCgroup::make(host, tree + "/a").value();
  ASSERT_TRUE(scratch.take_in(pid));
  EXPECT_TRUE(scratch.kill());
  EXPECT_TRUE(scratch.remove());
  EXPECT_EQ(host.cgroup_of(pid), "");
}

TEST(ScratchCgroupOnTheFake, a_process_that_does_not_die_is_waited_for_no_longer_than_a_second) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  const int pid = host.start_process("/a");
  host.make_unkillable(pid);
  auto scratch = ScratchCgroup::make(host, tree + "/a").value();
  ASSERT_TRUE(scratch.take_in(pid));
  EXPECT_EQ(scratch.kill().error().code, Fault::timed_out);
  host.end_process(pid);
}

TEST(ScratchCgroupOnTheFake, a_move_without_effect_is_no_success) {
  FakeCgroupHost host;
  host.make_cgroup("/a");
  const int pid = host.start_process("/a");
  host.begin_exit(pid, std::chrono::seconds{1});
  auto scratch = ScratchCgroup::make(host, tree + "/a").value();
  EXPECT_EQ(scratch.take_in(pid).error().code, Fault::not_read_back);
}

}  // namespace
}  // namespace surveyd::test
