#include <algorithm>
#include <cerrno>

#include <gtest/gtest.h>

#include <surveyd/cgroup_tree.hpp>

#include "support/fake_cgroup_host.hpp"

// What ensuring the host placement does about each errno, and about what other processes do
// between two of its system calls. The kernel does these things on no one's command, so only the
// fake can be asked.

namespace surveyd::test {
namespace {

using Names = std::vector<std::string>;

const std::string root_control = "/sys/fs/cgroup/cgroup.subtree_control";
const std::string level = "/sys/fs/cgroup/zlayer";
const std::string level_control = level + "/cgroup.subtree_control";
const std::string parent = level + "/containers";
const std::string parent_control = parent + "/cgroup.subtree_control";

std::string code_of(const Error& error) {
  const std::string name = errno_name(error.code);
  return name.empty() ? error.code.message() : name;
}

// "cpu memory -pids(refused EINVAL)".
std::string outcomes(const EnsureReport& report) {
  std::string text;
  for (const ControllerOutcome& one : report.controllers) {
    text += (text.empty() ? "" : " ") + std::string{one.enabled ? "" : "-"} + one.name;
    if (!one.enabled)
      text += "(" + one.reason + (one.error ? " " + errno_name(one.error) : "") + ")";
  }
  return text;
}

std::string told(const Result<EnsureReport>& report) {
  return report ? outcomes(*report) : "failed: " + code_of(report.error());
}

class EnsureErrnos : public testing::Test {
 protected:
  explicit EnsureErrnos(Names controllers = {"cpu", "memory", "pids"})
      : host_(std::move(controllers)) {}

  std::string ensure() { return told(CgroupTree{host_, {}}.ensure(Placement::host)); }
  Error refusal() { return CgroupTree{host_, {}}.ensure(Placement::host).error(); }
  bool wrote_one_by_one() const {
    const Names writes = host_.calls(Op::write);
    return std::any_of(writes.begin(), writes.end(), [](const std::string& text) {
      return std::count(text.begin(), text.end(), '+') == 1;
    });
  }
  // The property that must hold whatever happens: a thread root cannot be undone by its owner.
  bool all_are_domains() const {
    const Names all = host_.cgroups();
    return std::all_of(all.begin(), all.end(), [this](const std::string& cgroup) {
      return host_.type_of(cgroup) == "domain";
    });
  }

  FakeCgroupHost host_;
};

TEST_F(EnsureErrnos, each_level_takes_one_combined_write) {
  EXPECT_EQ(ensure(), "cpu memory pids");
  EXPECT_EQ(host_.calls(Op::write),
            (Names{root_control + ": +cpu +memory +pids", level_control + ": +cpu +memory +pids",
                   parent_control + ": +cpu +memory +pids"}));
}

TEST_F(EnsureErrnos, what_is_delegated_already_is_not_written) {
  ASSERT_EQ(ensure(), "cpu memory pids");
  const std::size_t writes = host_.calls(Op::write).size();
  EXPECT_EQ(ensure(), "cpu memory pids");
  EXPECT_EQ(host_.calls(Op::write).size(), writes);
}

TEST_F(EnsureErrnos, ENOENT_of_a_controller_withdrawn_meanwhile_costs_only_that_one) {
  host_.before(Op::write, level_control, [this] { host_.withdraw_from_root("memory"); });
  EXPECT_EQ(ensure(), "cpu -memory(not_offered_by_parent ENOENT) pids");
}

TEST_F(EnsureErrnos, a_controller_not_offered_is_never_asked_for) {
  host_.before(Op::read, level + "/cgroup.controllers",
               [this] { host_.withdraw_from_root("memory"); });
  EXPECT_EQ(ensure(), "cpu -memory(not_offered_by_parent) pids");
  EXPECT_FALSE(wrote_one_by_one());
}

TEST_F(EnsureErrnos, ENOENT_of_a_directory_that_is_gone_is_no_missing_controller) {
  host_.before(Op::write, level_control, [this] { host_.destroy_cgroup("/zlayer"); });
  EXPECT_EQ(ensure(), "cpu memory pids");  // made again
  EXPECT_TRUE(host_.exists("/zlayer/containers"));
}

TEST_F(EnsureErrnos, ENOENT_of_a_level_removed_before_the_next_is_made_starts_again) {
  host_.before(Op::mkdir, parent, [this] { host_.destroy_cgroup("/zlayer"); });
  EXPECT_EQ(ensure(), "cpu memory pids");
}

TEST_F(EnsureErrnos, EINVAL_is_broken_down_to_the_controller_that_fails) {
  host_.refuse("cpu", EINVAL);  // real-time tasks
  EXPECT_EQ(ensure(), "-cpu(rejected EINVAL) memory pids");
  EXPECT_EQ(host_.delegated("/zlayer/containers"), (Names{"memory", "pids"}));
}

TEST_F(EnsureErrnos, EPERM_of_the_combined_write_is_tried_one_by_one) {
  host_.refuse("memory", EPERM);
  EXPECT_EQ(ensure(), "cpu -memory(not_permitted EPERM) pids");
}

TEST_F(EnsureErrnos, EBUSY_by_residents_is_never_tried_one_by_one) {
  host_.make_cgroup("/zlayer");
  const int pid = host_.start_process("/zlayer", "sleeper");
  const Error error = refusal();
  EXPECT_EQ(error.code, Fault::occupied);
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, pid);
  EXPECT_EQ(error.processes[0].command, "sleeper");
  EXPECT_FALSE(wrote_one_by_one());
  EXPECT_TRUE(all_are_domains());
  EXPECT_EQ(host_.cgroups(), Names{"/zlayer"});
}

TEST_F(EnsureErrnos, residents_forbid_one_by_one_also_after_EINVAL_and_EPERM) {
  for (const int error_number : {EINVAL, EPERM, ENOENT}) {
    FakeCgroupHost host({"cpu", "memory", "pids"});
    host.make_cgroup("/zlayer");
    (void)host.start_process("/zlayer");
    host.fail(Op::write, level_control, error_number);
    EXPECT_FALSE(CgroupTree(host, {}).ensure(Placement::host));
    EXPECT_EQ(host.type_of("/zlayer"), "domain")
        << errno_name({error_number, std::generic_category()});
  }
}

TEST_F(EnsureErrnos, a_resident_of_another_pid_namespace_is_named_as_pid_0) {
  host_.make_cgroup("/zlayer");
  host_.start_foreign_process("/zlayer");
  const Error error = refusal();
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, 0);
}

TEST_F(EnsureErrnos, EBUSY_of_a_process_that_just_left_is_waited_out) {
  host_.fail(Op::write, level_control, EBUSY, 3);
  EXPECT_EQ(ensure(), "cpu memory pids");
  EXPECT_EQ(host_.pauses(), 3);
  EXPECT_FALSE(wrote_one_by_one());
}

TEST_F(EnsureErrnos, EBUSY_without_end_is_given_up_within_a_second_of_pauses) {
  host_.fail(Op::write, level_control, EBUSY, FakeCgroupHost::always);
  EXPECT_EQ(ensure(), "failed: processes or child cgroups are in the way");
  EXPECT_LE(host_.pauses(), 1000);
  EXPECT_FALSE(wrote_one_by_one());
  EXPECT_EQ(host_.cgroups(), Names{});
}

TEST_F(EnsureErrnos, EBUSY_at_the_real_root_is_reported_as_it_is) {
  host_.fail(Op::write, root_control, EBUSY, FakeCgroupHost::always);
  EXPECT_EQ(ensure(), "failed: EBUSY");
  EXPECT_FALSE(wrote_one_by_one());
  EXPECT_EQ(host_.cgroups(), Names{});
}

TEST_F(EnsureErrnos, EOPNOTSUPP_of_a_thread_root_is_reported_and_no_type_is_written) {
  host_.make_cgroup("/zlayer/threads");
  host_.make_threaded("/zlayer/threads");
  EXPECT_EQ(ensure(), "failed: the cgroup is not a domain");
  for (const std::string& text : host_.calls(Op::write))
    EXPECT_EQ(text.find("cgroup.type"), std::string::npos) << text;
  EXPECT_EQ(host_.cgroups(), (Names{"/zlayer", "/zlayer/threads"}));
}

TEST_F(EnsureErrnos, a_refused_write_does_no_harm_where_the_controller_is_enabled_already) {
  for (const int error_number : {EACCES, EPERM, EROFS}) {
    FakeCgroupHost host({"cpu", "memory"});
    host.delegate("/", {"cpu", "memory"});
    host.fail(Op::write, root_control, error_number, FakeCgroupHost::always);
    EXPECT_EQ(told(CgroupTree(host, {}).ensure(Placement::host)), "cpu memory");
  }
}

TEST_F(EnsureErrnos, a_refused_write_is_reported_for_each_controller_that_it_was_about) {
  for (const auto& [error_number, told_as] : {std::pair{EACCES, "not_permitted EACCES"},
                                              {EPERM, "not_permitted EPERM"},
                                              {EROFS, "read_only EROFS"},
                                              {EBUSY, "busy EBUSY"}}) {
    FakeCgroupHost host({"cpu", "memory"});
    host.delegate("/", {"memory"});
    host.fail(Op::write, root_control, error_number, FakeCgroupHost::always);
    EXPECT_EQ(told(CgroupTree(host, {}).ensure(Placement::host)),
              "-cpu(" + std::string{told_as} + ") memory");
  }
}

TEST_F(EnsureErrnos,
       where_nothing_can_be_delegated_nothing_is_left_and_the_refusing_file_is_named) {
  for (const int error_number : {EACCES, EPERM, EROFS}) {
    FakeCgroupHost host({"cpu", "memory"});
    host.fail(Op::write, root_control, error_number, FakeCgroupHost::always);
    const auto report = CgroupTree(host, {}).ensure(Placement::host);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code.value(), error_number);
    EXPECT_EQ(host.cgroups(), Names{});
    EXPECT_EQ(report.error().path.find("zlayer"), std::string::npos)
        << "the root refused, not " << report.error().path;
  }
}

TEST_F(EnsureErrnos, a_read_only_tree_that_is_ready_stays_usable) {
  ASSERT_EQ(ensure(), "cpu memory pids");
  host_.mount_read_only(true);
  EXPECT_EQ(ensure(), "cpu memory pids");
}

TEST_F(EnsureErrnos, a_failing_mkdir_is_reported_with_its_cause_and_what_was_made_is_removed) {
  for (const int error_number : {EAGAIN, ENOSPC, EROFS, EACCES, EPERM}) {
    FakeCgroupHost host;
    host.fail(Op::mkdir, parent, error_number);
    const auto report = CgroupTree(host, {}).ensure(Placement::host);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code.value(), error_number);
    EXPECT_EQ(report.error().op, "mkdir") << "from the system call's name to the status";
    EXPECT_FALSE(report.error().detail.empty());
    EXPECT_EQ(host.cgroups(), Names{});
  }
}

TEST_F(EnsureErrnos, rollback_leaves_what_was_there_before_this_call) {
  host_.make_cgroup("/zlayer");
  host_.fail(Op::mkdir, parent, ENOSPC);
  EXPECT_EQ(ensure(), "failed: ENOSPC");
  EXPECT_EQ(host_.cgroups(), Names{"/zlayer"});
}

TEST_F(EnsureErrnos, rollback_tells_of_a_directory_that_somebody_uses_by_now) {
  host_.before(Op::mkdir, parent, [this] { (void)host_.start_process("/zlayer"); });
  host_.fail(Op::mkdir, parent, ENOSPC);
  const Error error = refusal();
  EXPECT_EQ(code_of(error), "ENOSPC");
  EXPECT_NE(error.detail.find("/zlayer"), std::string::npos) << error.detail;
}

TEST_F(EnsureErrnos, a_file_in_place_of_a_level_is_ENOTDIR) {
  EXPECT_EQ(told(CgroupTree{host_, {"cgroup.procs"}}.ensure(Placement::host)), "failed: ENOTDIR");
}

TEST_F(EnsureErrnos, ENODEV_of_a_dying_parent_starts_again) {
  host_.fail(Op::mkdir, parent, ENODEV);
  EXPECT_EQ(ensure(), "cpu memory pids");
  host_.destroy_cgroup("/zlayer");
  host_.fail(Op::write, level_control, ENODEV);
  EXPECT_EQ(ensure(), "cpu memory pids");
}

TEST_F(EnsureErrnos, ENODEV_without_end_is_given_up_with_nothing_left) {
  host_.fail(Op::mkdir, parent, ENODEV, FakeCgroupHost::always);
  EXPECT_EQ(ensure(), "failed: ENODEV");
  EXPECT_EQ(host_.cgroups(), Names{});
}

TEST_F(EnsureErrnos, one_controller_that_is_not_read_back_is_no_success) {
  host_.before(Op::write, parent_control, [this] {
    host_.before(Op::read, parent_control, [this] {
      host_.delegate("/zlayer/containers", {"cpu", "memory"});
    });
  });
  EXPECT_EQ(ensure(), "cpu memory -pids(not_read_back)");
}

TEST_F(EnsureErrnos, where_no_controller_is_read_back_the_call_fails) {
  host_.before(Op::write, parent_control, [this] {
    host_.before(Op::read, parent_control, [this] { host_.delegate("/zlayer/containers", {}); });
  });
  EXPECT_EQ(ensure(), "failed: " + std::error_code{Fault::not_read_back}.message());
  EXPECT_EQ(host_.cgroups(), Names{});
}

// With nothing but threaded controllers in the combined write the kernel takes it over residents.
class EnsureThreadedOnly : public EnsureErrnos {
 protected:
  EnsureThreadedOnly() : EnsureErrnos({"cpu", "pids"}) {}
};

TEST_F(EnsureThreadedOnly, residents_are_in_the_way_although_the_kernel_would_take_the_write) {
  host_.make_cgroup("/zlayer");
  (void)host_.start_process("/zlayer");
  EXPECT_EQ(ensure(), "failed: processes or child cgroups are in the way");
  EXPECT_TRUE(all_are_domains());
  EXPECT_EQ(host_.delegated("/zlayer"), Names{});
}

TEST_F(EnsureErrnos, residents_are_in_the_way_where_a_refusal_above_leaves_threaded_controllers) {
  host_.refuse("memory", EINVAL);
  host_.make_cgroup("/zlayer");
  (void)host_.start_process("/zlayer");
  EXPECT_EQ(ensure(), "failed: processes or child cgroups are in the way");
  EXPECT_TRUE(all_are_domains());
}

TEST_F(EnsureThreadedOnly, a_parent_that_is_read_back_as_invalid_domain_is_removed_again) {
  host_.make_cgroup("/zlayer/threads");
  host_.make_threaded("/zlayer/threads");
  EXPECT_EQ(ensure(), "failed: the cgroup is not a domain");
  EXPECT_EQ(host_.cgroups(), (Names{"/zlayer", "/zlayer/threads"}));
}

TEST(EnsureElsewhere, on_hybrid_and_v1_hosts_nothing_is_even_tried) {
  for (const bool hybrid : {true, false})
    for (const Placement placement : {Placement::automatic, Placement::host, Placement::scope}) {
      FakeCgroupHost host;
      hybrid ? host.make_hybrid() : host.make_v1();
      const auto report = CgroupTree(host, {}).ensure(placement);
      ASSERT_FALSE(report);
      EXPECT_EQ(report.error().code, Fault::no_usable_cgroup2);
      EXPECT_FALSE(report.error().detail.empty());
      EXPECT_EQ(host.calls(Op::mkdir), Names{});
      EXPECT_EQ(host.calls(Op::write), Names{});
      EXPECT_FALSE(host.stat("/sys/fs/cgroup/zlayer"));
    }
}

TEST(EnsureElsewhere, a_mount_that_changes_while_it_is_opened_is_refused) {
  FakeCgroupHost host;
  host.before(Op::enter, "/sys/fs/cgroup", [&host] { host.make_hybrid(); });
  const auto report = CgroupTree(host, {}).ensure(Placement::host);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Fault::no_usable_cgroup2);
  EXPECT_EQ(host.calls(Op::mkdir), Names{});
}

}  // namespace
}  // namespace surveyd::test
