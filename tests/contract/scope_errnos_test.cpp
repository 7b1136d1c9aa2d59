#include <algorithm>
#include <cerrno>

#include <gtest/gtest.h>
#include <unistd.h>

#include <surveyd/cgroup_tree.hpp>

#include "support/fake_cgroup_host.hpp"

// What scope placement (moving into the leaf) and removal do about each errno.

namespace surveyd::test {
namespace {

using Names = std::vector<std::string>;

const std::string tree = "/sys/fs/cgroup";
const std::string scope = "/svc/scope";
const std::string leaf = scope + "/init";
const std::string leaf_procs = tree + leaf + "/cgroup.procs";
constexpr const char* leaf_mark = "user.surveyd.leaf";

std::string told(const Error& error) {
  const std::string name = errno_name(error.code);
  return "failed: " + (name.empty() ? error.code.message() : name);
}

std::string told(const Result<EnsureReport>& report) {
  if (!report) return told(report.error());
  std::string text = report->container_parent;
  for (const std::string& path : report->created) text += " +" + path;
  return text + (report->migrated.empty() ? "" : " moved");
}

class ScopeErrnos : public testing::Test {
 protected:
  explicit ScopeErrnos(const Names& controllers = {"cpu", "memory", "pids"}) : host_(controllers) {
    host_.make_cgroup(scope);
    host_.delegate("/", controllers);
    host_.delegate("/svc", controllers);
    host_.live_in(scope);
  }
  Result<EnsureReport> ensure() { return CgroupTree{host_, {}}.ensure(Placement::scope); }

  FakeCgroupHost host_;
};

TEST_F(ScopeErrnos, the_daemon_moves_itself_by_writing_0_and_never_a_pid) {
  EXPECT_EQ(told(ensure()), "/svc/scope/containers +/svc/scope/init +/svc/scope/containers moved");
  EXPECT_EQ(host_.calls(Op::write).front(), leaf_procs + ": 0");
  EXPECT_EQ(host_.mark_of(leaf, leaf_mark), "1");
  EXPECT_EQ(host_.own_cgroup(), leaf);
}

TEST_F(ScopeErrnos, an_own_path_out_of_sight_is_no_place_to_make_anything_in) {
  for (const char* path : {"/svc/scope (deleted)", "/../x", "/..", "/../.."}) {
    FakeCgroupHost host;
    host.make_cgroup(scope);
    host.live_in(scope);
    host.claim_own_path(path);
    EXPECT_EQ(told(CgroupTree(host, {}).ensure(Placement::scope)),
              "failed: no usable cgroup v2 here")
        << path;
    EXPECT_EQ(host.calls(Op::mkdir), Names{}) << path;
  }
}

TEST_F(ScopeErrnos, a_mount_of_another_part_of_the_tree_cannot_name_the_scope) {
  host_.make_cgroup("/other");
  host_.set_mounted("/other");
  EXPECT_EQ(told(ensure()), "failed: no usable cgroup v2 here");
  EXPECT_EQ(host_.calls(Op::mkdir), Names{});
}

TEST_F(ScopeErrnos, a_mount_of_the_part_that_holds_the_scope_will_do) {
  host_.set_mounted("/svc");
  EXPECT_EQ(told(ensure()), "/svc/scope/containers +/svc/scope/init +/svc/scope/containers moved");
  EXPECT_EQ(host_.own_cgroup(), leaf);
}

TEST_F(ScopeErrnos, without_mountinfo_the_scope_cannot_be_placed) {
  host_.claim_mountinfo("");
  EXPECT_EQ(told(ensure()), "failed: no usable cgroup v2 here");
  EXPECT_EQ(host_.calls(Op::mkdir), Names{});
}

TEST_F(ScopeErrnos, a_refused_move_is_reported_and_the_new_leaf_is_removed) {
  for (const int error_number : {EACCES, ENOENT, EBUSY, EOPNOTSUPP, EINVAL}) {
    host_.fail(Op::write, leaf_procs, error_number);
    const auto report = ensure();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code.value(), error_number);
    EXPECT_EQ(host_.cgroups(), (Names{"/svc", scope}));
    EXPECT_EQ(host_.own_cgroup(), scope);
  }
}

TEST_F(ScopeErrnos, a_leaf_with_controllers_for_children_is_EBUSY_and_stays) {
  host_.delegate(scope, {"memory"});
  host_.make_cgroup(leaf + "/work");
  host_.delegate(leaf, {"memory"});
  const auto report = ensure();
  EXPECT_EQ(told(report), "failed: EBUSY");
  EXPECT_FALSE(report.error().detail.empty());
  EXPECT_TRUE(host_.exists(leaf + "/work"));
}

TEST_F(ScopeErrnos, a_leaf_that_did_not_take_the_daemon_is_not_marked_as_its_own) {
  host_.delegate(scope, {"memory"});
  host_.make_cgroup(leaf + "/work");
  host_.delegate(leaf, {"memory"});
  ASSERT_FALSE(ensure());
  EXPECT_EQ(host_.mark_of(leaf, leaf_mark), "");
}

TEST_F(ScopeErrnos, an_invalid_leaf_is_EOPNOTSUPP_and_stays) {
  host_.make_cgroup(leaf);
  host_.make_cgroup(scope + "/threads");
  host_.make_threaded(scope + "/threads");
  EXPECT_EQ(told(ensure()), "failed: EOPNOTSUPP");
  EXPECT_EQ(host_.own_cgroup(), scope);
  EXPECT_TRUE(host_.exists(leaf));
}

TEST_F(ScopeErrnos, a_threaded_leaf_takes_the_daemon_but_leads_to_no_success) {
  host_.make_cgroup(leaf);
  host_.make_threaded(leaf);
  EXPECT_FALSE(ensure());
  EXPECT_FALSE(host_.exists(scope + "/containers"));
}

TEST_F(ScopeErrnos, a_move_that_is_not_read_back_is_no_success) {
  host_.before(Op::write, leaf_procs, [this] {
    host_.before(Op::read, "/proc/self/cgroup", [this] { host_.live_in(scope); });
  });
  const Error error = ensure().error();
  EXPECT_EQ(error.code, Fault::not_read_back);
  ASSERT_EQ(error.migrated.size(), 1U);  // it may be there all the same
  EXPECT_EQ(error.migrated[0].pid, ::getpid());
}

TEST_F(ScopeErrnos, without_attributes_on_cgroups_a_second_call_still_makes_nothing) {
  host_.fail(Op::setxattr, tree + leaf, EOPNOTSUPP, FakeCgroupHost::always);
  CgroupTree here{host_, {}};
  EXPECT_EQ(told(here.ensure(Placement::scope)),
            "/svc/scope/containers +/svc/scope/init +/svc/scope/containers moved");
  EXPECT_EQ(told(here.ensure(Placement::scope)), "/svc/scope/containers");
  EXPECT_EQ(host_.own_cgroup(), leaf);
}

TEST_F(ScopeErrnos, the_root_of_a_private_namespace_is_no_leaf_even_with_a_mark) {
  host_.mark(scope, leaf_mark, "1");  // the leaf of a surveyd outside
  host_.set_namespace_root(scope);
  host_.set_mounted(scope);
  EXPECT_EQ(told(ensure()), "/containers +/init +/containers moved");
}

TEST_F(ScopeErrnos, other_processes_are_in_the_way_and_nothing_is_tried_one_by_one) {
  const int pid = host_.start_process(scope, "sibling");
  const auto report = ensure();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Fault::occupied);
  ASSERT_EQ(report.error().processes.size(), 1U);
  EXPECT_EQ(report.error().processes[0].pid, pid);
  EXPECT_EQ(host_.calls(Op::write), Names{leaf_procs + ": 0"});
  EXPECT_EQ(host_.type_of(scope), "domain");
  EXPECT_FALSE(host_.exists(scope + "/containers"));
}

TEST_F(ScopeErrnos, a_failure_after_the_move_reads_as_a_sentence_of_its_own) {
  host_.fail(Op::read, tree + scope + "/cgroup.controllers", EACCES);
  const auto report = ensure();
  ASSERT_FALSE(report);
  EXPECT_FALSE(report.error().detail.starts_with(";")) << report.error().detail;
  EXPECT_NE(report.error().detail.find(leaf), std::string::npos);
}

class ScopeThreadedOnly : public ScopeErrnos {
 protected:
  ScopeThreadedOnly() : ScopeErrnos({"cpu", "pids"}) {}
};

TEST_F(ScopeThreadedOnly, residents_are_in_the_way_although_the_kernel_would_take_the_write) {
  (void)host_.start_process(scope);
  EXPECT_EQ(told(ensure()), "failed: processes or child cgroups are in the way");
  EXPECT_EQ(host_.type_of(scope), "domain");
}

class RemoveErrnos : public testing::Test {
 protected:
  RemoveErrnos() {
    EXPECT_TRUE(tree_.ensure(Placement::host));
    host_.make_cgroup("/zlayer/containers/c1");
    writes_ = host_.calls(Op::write).size();
  }
  std::string remove(const char* id = "c1") {
    const auto removal = tree_.remove_container(ContainerId::parse(id).value());
    if (!removal) return told(removal.error());
    return removal->removed ? "removed" : "absent";
  }
  Error refusal() { return tree_.remove_container(ContainerId::parse("c1").value()).error(); }

  FakeCgroupHost host_;
  CgroupTree tree_{host_, {}};
  std::size_t writes_ = 0;
  const std::string container_ = tree + "/zlayer/containers/c1";
};

TEST_F(RemoveErrnos, what_is_absent_is_absent_on_a_read_only_mount_too) {
  EXPECT_EQ(remove("c2"), "absent");
  host_.mount_read_only(true);
  EXPECT_EQ(remove("c2"), "absent");
}

TEST_F(RemoveErrnos, a_container_that_goes_meanwhile_counts_as_absent) {
  host_.before(Op::rmdir, container_, [this] { host_.destroy_cgroup("/zlayer/containers/c1"); });
  EXPECT_EQ(remove(), "absent");
}

TEST_F(RemoveErrnos, EBUSY_kills_and_moves_nobody) {
  const int pid = host_.start_process("/zlayer/containers/c1", "worker");
  const Error error = refusal();
  EXPECT_EQ(error.code, Fault::occupied);
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, pid);
  EXPECT_EQ(error.processes[0].command, "worker");
  EXPECT_EQ(host_.calls(Op::write).size(), writes_);
  EXPECT_EQ(host_.calls(Op::rmdir), Names{container_});
}

TEST_F(RemoveErrnos, EBUSY_by_a_process_of_another_pid_namespace_names_pid_0) {
  host_.start_foreign_process("/zlayer/containers/c1");
  const Error error = refusal();
  ASSERT_EQ(error.processes.size(), 1U);
  EXPECT_EQ(error.processes[0].pid, 0);
}

TEST_F(RemoveErrnos, EBUSY_by_children_names_them_and_the_processes_in_them) {
  host_.make_cgroup("/zlayer/containers/c1/a/b");
  (void)host_.start_process("/zlayer/containers/c1/a/b");
  const Error error = refusal();
  EXPECT_EQ(error.children, (Names{"/zlayer/containers/c1/a", "/zlayer/containers/c1/a/b"}));
  EXPECT_EQ(error.processes.size(), 1U);
}

TEST_F(RemoveErrnos, a_crowd_is_not_named_to_the_last) {
  for (int i = 0; i < 200; ++i) (void)host_.start_process("/zlayer/containers/c1");
  EXPECT_EQ(refusal().processes.size(), 64U);
}

TEST_F(RemoveErrnos, a_refusal_is_reported_with_its_errno_and_path) {
  for (const int error_number : {EROFS, EACCES, EPERM}) {
    host_.fail(Op::rmdir, container_, error_number);
    const Error error = refusal();
    EXPECT_EQ(error.code.value(), error_number);
    EXPECT_EQ(error.path, container_);
  }
  EXPECT_TRUE(host_.exists("/zlayer/containers/c1"));
}

TEST_F(RemoveErrnos, what_cannot_be_looked_at_is_not_called_absent) {
  host_.fail(Op::stat, container_, EACCES, FakeCgroupHost::always);
  host_.fail(Op::rmdir, container_, EROFS);
  EXPECT_EQ(remove(), "failed: EROFS");
}

TEST_F(RemoveErrnos, one_that_was_made_again_in_between_is_removed) {
  host_.fail(Op::rmdir, container_, ENOENT);
  EXPECT_EQ(remove(), "removed");
}

TEST_F(RemoveErrnos, ENOENT_about_what_is_there_is_not_believed) {
  host_.fail(Op::rmdir, container_, ENOENT, FakeCgroupHost::always);
  EXPECT_EQ(remove(), "failed: ENOENT");
}

TEST_F(RemoveErrnos, a_container_removed_while_listing_is_left_out) {
  host_.make_cgroup("/zlayer/containers/c2");
  host_.before(Op::read, container_ + "/cgroup.events",
               [this] { host_.destroy_cgroup("/zlayer/containers/c1"); });
  const auto list = tree_.list_containers();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->containers.size(), 1U);
  EXPECT_EQ(list->containers[0].id, "c2");
}

TEST_F(RemoveErrnos, without_the_right_to_look_up_inodes_every_container_is_looked_at) {
  host_.make_cgroup("/zlayer/containers/c1/inner");
  const std::uint64_t inode = host_.stat(container_ + "/inner")->inode;
  host_.fail(Op::find, tree, EPERM, FakeCgroupHost::always);
  EXPECT_TRUE(tree_.is_below_container_parent(inode).value());
  EXPECT_FALSE(tree_.is_below_container_parent(1).value());
}

TEST(RemoveElsewhere, on_hybrid_and_v1_hosts_nothing_is_removed_or_listed) {
  for (const bool hybrid : {true, false}) {
    FakeCgroupHost host;
    hybrid ? host.make_hybrid() : host.make_v1();
    host.add_directory("/sys/fs/cgroup/zlayer/containers/c1");
    CgroupTree here{host, {}};
    const auto removal = here.remove_container(ContainerId::parse("c1").value());
    ASSERT_FALSE(removal);
    EXPECT_EQ(removal.error().code, Fault::no_usable_cgroup2);
    EXPECT_FALSE(here.list_containers());
    EXPECT_FALSE(here.inspect_container_parent());
    EXPECT_EQ(host.calls(Op::rmdir), Names{});
  }
}

}  // namespace
}  // namespace surveyd::test
