#include <gtest/gtest.h>
#include <unistd.h>

#include <surveyd/cgroup_tree.hpp>

#include "support/fake_cgroup_host.hpp"

// What `evacuate: "all"` does about each errno, on the fake.

namespace surveyd::test {
namespace {

using Names = std::vector<std::string>;

const std::string scope = "/system/surveyd";
const std::string leaf = scope + "/init";
const std::string leaf_procs = "/sys/fs/cgroup" + leaf + "/cgroup.procs";

class EvacuationErrnos : public testing::Test {
 protected:
  void SetUp() override {
    host_.make_cgroup(scope);
    host_.delegate("/", {"cpu", "memory", "pids"});
    host_.delegate("/system", {"cpu", "memory", "pids"});
    host_.live_in(scope);
  }

  Result<EnsureReport> ensure(Evacuate whom = Evacuate::all) {
    return CgroupTree{host_, {}}.ensure(Placement::scope, whom);
  }
  static bool mentions(const Error& error, const std::string& text) {
    return error.detail.find(text) != std::string::npos;
  }
  Names moves() {
    Names moves;
    for (const std::string& write : host_.calls(Op::write))
      if (write.starts_with(leaf_procs)) moves.push_back(write.substr(leaf_procs.size() + 2));
    return moves;
  }

  FakeCgroupHost host_{{"cpu", "memory", "pids"}};
};

TEST_F(EvacuationErrnos, one_process_a_write) {
  const int first = host_.start_process(scope);
  const int second = host_.start_process(scope);
  ASSERT_TRUE(ensure());
  EXPECT_EQ(moves(), (Names{"0", std::to_string(first), std::to_string(second)}));
}

TEST_F(EvacuationErrnos, nobody_is_moved_unless_asked_for_and_the_answer_says_how) {
  const int pid = host_.start_process(scope);
  const Error error = ensure(Evacuate::self).error();
  EXPECT_EQ(error.code, Fault::occupied);
  EXPECT_TRUE(mentions(error, R"({"evacuate": "all"})")) << error.detail;
  ASSERT_EQ(error.migrated.size(), 1U);  // the daemon itself
  EXPECT_EQ(error.migrated[0].pid, ::getpid());
  EXPECT_EQ(host_.cgroup_of(pid), scope);
}

TEST_F(EvacuationErrnos, a_process_that_ended_meanwhile_is_no_matter) {
  const int pid = host_.start_process(scope);
  host_.before(Op::write, leaf_procs,
               [&] { host_.before(Op::write, leaf_procs, [&] { host_.end_process(pid); }); });
  EXPECT_TRUE(ensure());
}

TEST_F(EvacuationErrnos, a_fork_in_progress_is_waited_for) {
  const int pid = host_.start_process(scope);
  host_.refuse_move(pid, EINVAL, 3);
  EXPECT_TRUE(ensure());
  EXPECT_EQ(host_.pauses(), 3);
  EXPECT_EQ(host_.cgroup_of(pid), leaf);
}

TEST_F(EvacuationErrnos, a_fork_that_never_ends_is_named) {
  const int pid = host_.start_process(scope, "forking");
  host_.refuse_move(pid, EINVAL, FakeCgroupHost::always);
  const Error error = ensure().error();
  EXPECT_EQ(error.code, Fault::occupied);
  EXPECT_TRUE(mentions(error, std::to_string(pid) + " (forking) cannot be moved: EINVAL"))
      << error.detail;
  EXPECT_EQ(host_.pauses(), 5);
}

TEST_F(EvacuationErrnos, one_that_is_exiting_is_waited_for_and_not_said_to_be_moved) {
  for (const Evacuate whom : {Evacuate::all, Evacuate::self}) {
    const int pid = host_.start_process(scope);
    host_.begin_exit(pid, std::chrono::milliseconds{200});
    const auto report = ensure(whom);
    ASSERT_TRUE(report) << to_string(report.error());
    for (const Process& process : report->migrated) EXPECT_EQ(process.pid, ::getpid());
    host_.destroy_cgroup(scope + "/containers");
    host_.delegate(scope, {});
  }
  EXPECT_EQ(host_.pauses(), 400);
}

TEST_F(EvacuationErrnos, one_that_takes_its_time_to_exit_is_named) {
  const int pid = host_.start_process(scope);
  host_.begin_exit(pid, std::chrono::seconds{5});
  const Error error = ensure().error();
  EXPECT_EQ(error.code, Fault::occupied);
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, pid);
  EXPECT_EQ(error.migrated.size(), 1U);
  EXPECT_EQ(host_.delegated(scope), Names{});
}

TEST_F(EvacuationErrnos, nothing_is_written_over_one_that_is_exiting) {
  for (const char* level : {"/", "/system"}) host_.delegate(level, {"cpu", "pids"});
  const int pid = host_.start_process(scope);
  host_.begin_exit(pid, std::chrono::milliseconds{3});
  host_.before(Op::write, "/sys/fs/cgroup" + scope + "/cgroup.subtree_control",
               [&] { EXPECT_EQ(host_.pauses(), 3); });
  EXPECT_TRUE(ensure());
  EXPECT_EQ(host_.type_of(scope), "domain");
}

TEST_F(EvacuationErrnos, a_kernel_thread_is_not_waited_for) {
  const int pid = host_.start_process(scope, "kworker");
  host_.make_kernel_thread(pid);
  EXPECT_EQ(ensure().error().code, Fault::occupied);
  EXPECT_EQ(host_.pauses(), 0);
}

TEST_F(EvacuationErrnos, a_refused_move_is_named_and_the_others_are_moved) {
  for (const int error_number : {EACCES, EPERM, ENOENT, ENOSPC}) {
    FakeCgroupHost host({"cpu", "memory", "pids"});
    host.make_cgroup(scope);
    host.delegate("/", {"cpu", "memory", "pids"});
    host.delegate("/system", {"cpu", "memory", "pids"});
    host.live_in(scope);
    const int refused = host.start_process(scope, "refused");
    const int other = host.start_process(scope);
    host.refuse_move(refused, error_number, FakeCgroupHost::always);
    const Error error = CgroupTree{host, {}}.ensure(Placement::scope, Evacuate::all).error();
    EXPECT_EQ(error.code, Fault::occupied);
    EXPECT_TRUE(mentions(error, errno_name({error_number, std::generic_category()})));
    ASSERT_EQ(error.processes.size(), 1U);
    EXPECT_EQ(error.processes[0].pid, refused);
    EXPECT_EQ(error.migrated.size(), 2U);
    EXPECT_EQ(host.cgroup_of(other), leaf);
    EXPECT_EQ(host.delegated(scope), Names{});
  }
}

TEST_F(EvacuationErrnos, a_leaf_that_takes_nobody_ends_it) {
  const int pid = host_.start_process(scope);
  (void)host_.start_process(scope);
  host_.refuse_move(pid, EBUSY);
  const Error error = ensure().error();
  EXPECT_EQ(errno_name(error.code), "EBUSY");
  EXPECT_EQ(moves().size(), 2U);
}

TEST_F(EvacuationErrnos, for_somebody_of_another_pid_namespace_nobody_else_is_moved) {
  const int pid = host_.start_process(scope);
  host_.start_foreign_process(scope);
  const Error error = ensure().error();
  EXPECT_EQ(error.code, Fault::occupied);
  EXPECT_TRUE(mentions(error, "pid 0")) << error.detail;
  EXPECT_EQ(host_.cgroup_of(pid), scope);
}

TEST_F(EvacuationErrnos, who_comes_while_others_are_moved_is_moved_too) {
  const int pid = host_.start_process(scope);
  int child = 0;
  host_.before(Op::write, leaf_procs, [&] {
    host_.before(Op::write, leaf_procs, [&] { child = host_.start_process(scope); });
  });
  ASSERT_TRUE(ensure());
  EXPECT_EQ(host_.cgroup_of(pid), leaf);
  EXPECT_EQ(host_.cgroup_of(child), leaf);
}

TEST_F(EvacuationErrnos, who_comes_right_before_the_controllers_are_enabled_is_moved_too) {
  (void)host_.start_process(scope);
  int late = 0;
  host_.before(Op::write, "/sys/fs/cgroup" + scope + "/cgroup.subtree_control",
               [&] { late = host_.start_process(scope); });
  ASSERT_TRUE(ensure());
  EXPECT_EQ(host_.cgroup_of(late), leaf);
}

TEST_F(EvacuationErrnos, it_ends_after_ten_seconds_even_if_somebody_always_comes) {
  std::function<void()> another = [&] {
    (void)host_.start_process(scope);
    host_.pass(std::chrono::milliseconds{100});
    host_.before(Op::write, leaf_procs, another);
  };
  host_.before(Op::write, leaf_procs, another);
  const auto begun = host_.now();
  const Error error = ensure().error();
  EXPECT_EQ(error.code, Fault::timed_out);
  EXPECT_GT(error.migrated.size(), 50U);
  EXPECT_LT(host_.now() - begun, std::chrono::seconds{11});
}

}  // namespace
}  // namespace surveyd::test
