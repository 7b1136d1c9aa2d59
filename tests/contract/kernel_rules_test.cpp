#include <algorithm>

#include <gtest/gtest.h>

#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"
#include "support/fake_cgroup_host.hpp"

// The kernel's own rules about cgroup files (Documentation/admin-guide/cgroup-v2.rst), as they show
// through Host. CgroupTree relies on each, and the fake is only worth what it has of them.

namespace surveyd::test {
namespace {

using Names = std::vector<std::string>;
const std::string tree = "/sys/fs/cgroup";

template <class T>
std::string answer(const Result<T>& result) {
  return result ? "ok" : errno_name(result.error().code);
}

class KernelRules : public testing::TestWithParam<WorldFactory> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    if (const std::string reason = world_->why_not(); !reason.empty()) GTEST_SKIP() << reason;
    base_ = tree + "/" + world_->name();
    ASSERT_EQ(make(""), "ok");
  }

  Host& host() { return world_->host(); }
  std::string make(const std::string& below) {
    return answer(host().make_directory(base_ + below));
  }
  std::string write(const std::string& file, std::string_view text) {
    return answer(host().write(base_ + file, text));
  }
  std::string read(const std::string& file) {
    const auto text = host().read(base_ + file);
    return text ? std::string{parse::trimmed(*text)} : errno_name(text.error().code);
  }
  Names offered_by_root() {
    const auto text = host().read(tree + "/cgroup.controllers");
    return text ? parse::words(*text) : Names{};
  }
  // The controller to try rules with, offered to the base; empty when the machine has none of the
  // kind left for v2.
  std::string controller(bool threaded) {
    for (const std::string& name : offered_by_root()) {
      const bool is_threaded = name == "cpu" || name == "cpuset" || name == "pids";
      if (is_threaded != threaded) continue;
      EXPECT_EQ(answer(host().write(tree + "/cgroup.subtree_control", "+" + name)), "ok");
      return name;
    }
    return {};
  }

  std::unique_ptr<World> world_;
  std::string base_;
};

#define NEED_CONTROLLER(name, threaded)          \
  const std::string name = controller(threaded); \
  if (name.empty()) GTEST_SKIP() << "v2 has no " #name " controller here"

TEST_P(KernelRules, only_the_real_root_has_no_type) {
  EXPECT_EQ(answer(host().stat(tree + "/cgroup.type")), "ENOENT");
  EXPECT_EQ(answer(host().stat(tree + "/cgroup.events")), "ENOENT");
  EXPECT_EQ(read("/cgroup.type"), "domain");
}

TEST_P(KernelRules, children_are_offered_what_their_parent_enables) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(make("/a"), "ok");
  EXPECT_EQ(read("/a/cgroup.controllers"), "");
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain), "ok");
  EXPECT_EQ(read("/cgroup.subtree_control"), domain);
  EXPECT_EQ(read("/a/cgroup.controllers"), domain);
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain), "ok");  // again: nothing to do
}

TEST_P(KernelRules, an_unknown_controller_fails_the_whole_write) {
  NEED_CONTROLLER(domain, false);
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain + " +no_such"), "EINVAL");
  EXPECT_EQ(write("/cgroup.subtree_control", domain), "EINVAL");  // neither + nor -
  EXPECT_EQ(read("/cgroup.subtree_control"), "");
}

TEST_P(KernelRules, a_controller_that_the_parent_does_not_offer_is_ENOENT) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(make("/a"), "ok");
  EXPECT_EQ(write("/a/cgroup.subtree_control", "+" + domain), "ENOENT");
}

TEST_P(KernelRules, resident_processes_keep_domain_controllers_away) {
  NEED_CONTROLLER(domain, false);
  (void)world_->start_process(world_->name());
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain), "EBUSY");
  EXPECT_EQ(read("/cgroup.subtree_control"), "");
  EXPECT_EQ(read("/cgroup.type"), "domain");
}

TEST_P(KernelRules, domain_controllers_keep_processes_away) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(write("/cgroup.subtree_control", "+" + domain), "ok");
  ASSERT_EQ(make("/a"), "ok");
  const int pid = world_->start_process(world_->name() + "/a");
  EXPECT_EQ(write("/cgroup.procs", std::to_string(pid)), "EBUSY");
  EXPECT_EQ(read("/a/cgroup.procs"), std::to_string(pid));
}

TEST_P(KernelRules, threaded_controllers_alone_are_taken_over_residents_and_spoil_the_children) {
  NEED_CONTROLLER(threaded, true);
  ASSERT_EQ(make("/a"), "ok");
  (void)world_->start_process(world_->name());
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + threaded), "ok");
  EXPECT_EQ(read("/cgroup.type"), "domain threaded");
  EXPECT_EQ(read("/a/cgroup.type"), "domain invalid");
}

TEST_P(KernelRules, threaded_and_domain_controllers_together_are_refused_over_residents) {
  NEED_CONTROLLER(domain, false);
  NEED_CONTROLLER(threaded, true);
  (void)world_->start_process(world_->name());
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain + " +" + threaded), "EBUSY");
  EXPECT_EQ(read("/cgroup.type"), "domain");
}

TEST_P(KernelRules, a_controller_in_use_below_cannot_be_withdrawn) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(write("/cgroup.subtree_control", "+" + domain), "ok");
  EXPECT_EQ(answer(host().write(tree + "/cgroup.subtree_control", "-" + domain)), "EBUSY");
  EXPECT_EQ(write("/cgroup.subtree_control", "-" + domain), "ok");
}

TEST_P(KernelRules, one_process_is_moved_per_write) {
  const int first = world_->start_process(world_->name());
  const int second = world_->start_process(world_->name());
  ASSERT_EQ(make("/a"), "ok");
  const std::string both = std::to_string(first) + " " + std::to_string(second);
  EXPECT_EQ(write("/a/cgroup.procs", both), "EINVAL");
  EXPECT_EQ(read("/a/cgroup.procs"), "");
  EXPECT_EQ(write("/a/cgroup.procs", std::to_string(first) + "\n"), "ok");
  EXPECT_EQ(read("/a/cgroup.procs"), std::to_string(first));
  EXPECT_EQ(read("/cgroup.procs"), std::to_string(second));
}

TEST_P(KernelRules, what_is_no_process_is_not_moved) {
  const int pid = world_->start_process(world_->name());
  world_->end_process(pid);
  EXPECT_EQ(write("/cgroup.procs", std::to_string(pid)), "ESRCH");
  EXPECT_EQ(write("/cgroup.procs", "-1"), "EINVAL");
  EXPECT_EQ(write("/cgroup.procs", "self"), "EINVAL");
}

TEST_P(KernelRules, zero_is_the_writer_itself) {
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(make("/b"), "ok");
  const std::string there = base_ + "/b/cgroup.procs";
  const std::string told =
      world_->run_in(world_->name() + "/a", View::machine, [&there](Host& seen) {
        const std::string moved = answer(seen.write(there, "0"));
        const auto own = parse::cgroup_v2_path(seen.read("/proc/self/cgroup").value());
        return moved + " " + own.value_or("nowhere");
      });
  EXPECT_EQ(told, "ok /" + world_->name() + "/b");
}

TEST_P(KernelRules, the_command_of_a_process_can_be_read) {
  const int pid = world_->start_process(world_->name());
  const auto command = host().read("/proc/" + std::to_string(pid) + "/comm");
  ASSERT_TRUE(command);
  EXPECT_EQ(*command, "bystander\n");
}

TEST_P(KernelRules, events_say_whether_a_process_lives_here_or_below) {
  ASSERT_EQ(make("/a"), "ok");
  EXPECT_TRUE(read("/cgroup.events").starts_with("populated 0"));
  const int pid = world_->start_process(world_->name() + "/a");
  EXPECT_TRUE(read("/cgroup.events").starts_with("populated 1"));
  EXPECT_EQ(read("/cgroup.procs"), "");
  world_->end_process(pid);
  world_->wait_until_empty(world_->name());
  EXPECT_TRUE(read("/cgroup.events").starts_with("populated 0"));
}

TEST_P(KernelRules, depth_and_number_of_descendants_are_limited_by_any_ancestor) {
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(write("/cgroup.max.depth", "1"), "ok");
  EXPECT_EQ(make("/a/b"), "EAGAIN");
  ASSERT_EQ(write("/cgroup.max.descendants", "1"), "ok");
  EXPECT_EQ(make("/c"), "EAGAIN");
  ASSERT_EQ(write("/cgroup.max.descendants", "max"), "ok");
  EXPECT_EQ(make("/c"), "ok");
}

TEST_P(KernelRules, a_threaded_cgroup_hides_its_processes_and_invalidates_its_siblings) {
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(make("/b"), "ok");
  EXPECT_EQ(write("/a/cgroup.type", "domain"), "EINVAL");
  ASSERT_EQ(write("/a/cgroup.type", "threaded"), "ok");
  EXPECT_EQ(read("/cgroup.type"), "domain threaded");
  EXPECT_EQ(read("/b/cgroup.type"), "domain invalid");
  const int pid = world_->start_process(world_->name());
  EXPECT_EQ(write("/b/cgroup.procs", std::to_string(pid)), "EOPNOTSUPP");
  // It may be entered all the same, whatever its type, and its domain lists who is in it.
  EXPECT_EQ(write("/a/cgroup.procs", std::to_string(pid)), "ok");
  EXPECT_EQ(read("/a/cgroup.procs"), "EOPNOTSUPP");
  EXPECT_EQ(read("/cgroup.procs"), std::to_string(pid));
}

TEST_P(KernelRules, domain_controllers_are_refused_in_a_threaded_subtree) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(write("/a/cgroup.type", "threaded"), "ok");
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + domain), "EOPNOTSUPP");
}

TEST_P(KernelRules, a_cgroup_that_delegates_domain_controllers_is_no_thread_root) {
  NEED_CONTROLLER(domain, false);
  ASSERT_EQ(write("/cgroup.subtree_control", "+" + domain), "ok");
  ASSERT_EQ(make("/a"), "ok");
  EXPECT_EQ(write("/a/cgroup.type", "threaded"), "EOPNOTSUPP");
  EXPECT_EQ(read("/cgroup.type"), "domain");
}

TEST_P(KernelRules, threaded_controllers_alone_let_a_child_become_threaded) {
  NEED_CONTROLLER(threaded, true);
  ASSERT_EQ(write("/cgroup.subtree_control", "+" + threaded), "ok");
  ASSERT_EQ(make("/a"), "ok");
  EXPECT_EQ(write("/a/cgroup.type", "threaded"), "ok");
  EXPECT_EQ(read("/cgroup.type"), "domain threaded");
  ASSERT_EQ(make("/b"), "ok");
  EXPECT_EQ(read("/b/cgroup.type"), "domain invalid");
}

TEST_P(KernelRules, threaded_controllers_are_taken_in_a_thread_root) {
  NEED_CONTROLLER(threaded, true);
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(write("/a/cgroup.type", "threaded"), "ok");
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + threaded), "ok");
  EXPECT_EQ(read("/a/cgroup.controllers"), threaded);
}

TEST_P(KernelRules, a_populated_child_domain_keeps_its_parent_from_becoming_a_thread_root) {
  NEED_CONTROLLER(threaded, true);
  ASSERT_EQ(make("/a"), "ok");
  (void)world_->start_process(world_->name());
  (void)world_->start_process(world_->name() + "/a");
  EXPECT_EQ(write("/cgroup.subtree_control", "+" + threaded), "EBUSY");
  EXPECT_EQ(read("/cgroup.type"), "domain");
}

TEST_P(KernelRules, a_populated_cgroup_does_not_become_threaded) {
  ASSERT_EQ(make("/a"), "ok");
  (void)world_->start_process(world_->name() + "/a");
  EXPECT_EQ(write("/a/cgroup.type", "threaded"), "EOPNOTSUPP");
}

TEST_P(KernelRules, files_without_a_write_handler_say_EINVAL) {
  EXPECT_EQ(write("/cgroup.controllers", "x"), "EINVAL");
  EXPECT_EQ(write("/cgroup.events", "x"), "EINVAL");
}

TEST_P(KernelRules, killing_takes_all_below_and_nothing_but_1) {
  if (!host().stat(base_ + "/cgroup.kill")) GTEST_SKIP() << "cgroup.kill came with Linux 5.14";
  ASSERT_EQ(make("/a"), "ok");
  (void)world_->start_process(world_->name());
  (void)world_->start_process(world_->name() + "/a");
  EXPECT_EQ(answer(host().read(base_ + "/cgroup.kill")), "EINVAL");
  EXPECT_EQ(write("/cgroup.kill", "2"), "ERANGE");
  EXPECT_EQ(write("/cgroup.kill", "1"), "ok");
  world_->wait_until_empty(world_->name());
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a")), "ok");  // zombies do not count
}

TEST_P(KernelRules, in_a_private_namespace_the_own_cgroup_is_the_root_and_yet_has_a_type) {
  ASSERT_EQ(make("/a"), "ok");
  const std::string told =
      world_->run_in(world_->name() + "/a", View::private_namespace, [](Host& seen) {
        const auto own = parse::cgroup_v2_path(seen.read("/proc/self/cgroup").value());
        const auto space = seen.stat("/proc/self/ns/cgroup");
        return own.value_or("nowhere") + " " + answer(seen.stat(tree + "/cgroup.type")) +
               (space && space->inode == 0xEFFFFFFB ? " initial" : " private");
      });
  EXPECT_EQ(told, "/ ok private");
}

TEST_P(KernelRules, a_tree_from_above_the_namespace_is_mounted_as_dots) {
  ASSERT_EQ(make("/a"), "ok");
  const std::string told =
      world_->run_in(world_->name() + "/a", View::host_tree_in_private_namespace, [](Host& seen) {
        std::string roots;
        const std::string text = seen.read("/proc/self/mountinfo").value();
        for (const std::string_view line : parse::lines(text)) {
          const auto words = parse::words(line);
          if (words.size() > 4 && words[4] == tree) roots = words[3];  // the one on top
        }
        return roots;
      });
  EXPECT_EQ(told, "/../..");
}

TEST_P(KernelRules, a_process_elsewhere_in_the_tree_shows_as_dots_in_a_private_namespace) {
  ASSERT_EQ(make("/a"), "ok");
  ASSERT_EQ(make("/b"), "ok");
  const int pid = world_->start_process(world_->name() + "/b");
  const std::string path = "/proc/" + std::to_string(pid) + "/cgroup";
  const std::string told =
      world_->run_in(world_->name() + "/a", View::private_namespace, [&path](Host& seen) {
        return parse::cgroup_v2_path(seen.read(path).value()).value_or("nowhere");
      });
  EXPECT_EQ(told, "/../b");
}

INSTANTIATE_TEST_SUITE_P(worlds, KernelRules,
                         testing::Values(WorldFactory{"fake", make_fake_world},
                                         WorldFactory{"kernel", make_kernel_world}),
                         [](const auto& instance) { return std::string{instance.param.name}; });

}  // namespace
}  // namespace surveyd::test
