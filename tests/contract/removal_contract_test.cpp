#include "contract/contract.hpp"

// Removal by force, on the fake and on the kernel.

namespace surveyd::test {
namespace {

class ForceContract : public CgroupContract {
 protected:
  void SetUp() override {
    CgroupContract::SetUp();
    if (IsSkipped()) return;
    here_ = std::make_unique<CgroupTree>(host(), ContainerPlan{name_});
    ASSERT_TRUE(here_->ensure(Placement::host));
    make(container_());
  }

  std::string container_(const std::string& below = "") { return name_ + "/containers/c1" + below; }

  // Steps until it is over, as the daemon does.
  std::string force(CgroupTree& there, const char* container = "c1") {
    auto step = there.remove_container_by_force(id(container));
    for (int tries = 0; tries < 2000 && step && !step->done; ++tries) {
      if (!step->cut_short) host().pause(std::chrono::milliseconds{5});
      step = there.continue_removal(id(container), step->inode);
    }
    if (!step) return told(step.error());
    if (step->done) return told(Result<Removal>{*step->done});
    return told(there.explain_remnant(id(container), step->inode));
  }
  std::string force() { return force(*here_); }
  bool exists(const std::string& cgroup) { return host().stat(tree + "/" + cgroup).has_value(); }

  std::unique_ptr<CgroupTree> here_;
};

TEST_P(ForceContract, what_is_absent_is_absent) {
  EXPECT_EQ(force(*here_, "c2"), "c2 absent");
}

TEST_P(ForceContract, an_empty_one_is_removed) {
  EXPECT_EQ(force(), "c1 removed");
  EXPECT_FALSE(exists(container_()));
}

TEST_P(ForceContract, its_processes_are_killed_and_nobody_else_s) {
  make(name_ + "/containers/c2");
  (void)world_->start_process(container_());
  (void)world_->start_process(container_());
  const int neighbour = world_->start_process(name_ + "/containers/c2");
  EXPECT_EQ(force(), "c1 removed");
  EXPECT_EQ(told(here_->remove_container(id("c2"))),
            "failed: processes or child cgroups are in the way " + std::to_string(neighbour) +
                "(bystander)");
}

TEST_P(ForceContract, nested_cgroups_go_with_all_that_lives_in_them) {
  for (const char* below : {"/a", "/a/b", "/a/b/c", "/d"}) make(container_(below));
  (void)world_->start_process(container_("/a/b/c"));
  (void)world_->start_process(container_("/d"));
  EXPECT_EQ(force(), "c1 removed");
  EXPECT_FALSE(exists(container_()));
}

TEST_P(ForceContract, delegated_controllers_are_not_in_the_way) {
  delegate_all(container_());
  make(container_("/a"));
  delegate_all(container_("/a"));
  make(container_("/a/b"));
  (void)world_->start_process(container_("/a/b"));
  EXPECT_EQ(force(), "c1 removed");
}

TEST_P(ForceContract, a_frozen_one_is_killed_as_well) {
  (void)world_->start_process(container_());
  write(container_() + "/cgroup.freeze", "1");
  EXPECT_EQ(force(), "c1 removed");
}

TEST_P(ForceContract, threads_below_it_go_with_it) {
  make(container_("/threads"));
  write(container_("/threads") + "/cgroup.type", "threaded");
  (void)world_->start_process(container_());
  EXPECT_EQ(force(), "c1 removed");
}

TEST_P(ForceContract, a_path_longer_than_the_kernel_takes_is_removed_all_the_same) {
  // In steps that are short enough each; the whole is longer than PATH_MAX.
  const std::string name(200, 'n');
  auto at = host().enter(tree + "/" + container_()).value();
  for (int depth = 0; depth < 25; ++depth) {
    ASSERT_TRUE(at->make_directory(name));
    at = at->enter(name).value();
  }
  EXPECT_EQ(force(), "c1 removed");
}

TEST_P(ForceContract, surveyd_knows_itself_where_its_own_cgroup_has_no_name) {
  const std::string said =
      run_in(container_(), View::host_tree_in_private_namespace, [this](Host& seen) {
        CgroupTree there{seen, {name_}};
        const std::string refusal = force(there);
        return refusal.substr(0, refusal.find(std::to_string(::getpid())));
      });
  EXPECT_EQ(said, "failed: processes or child cgroups are in the way ");
}

TEST_P(ForceContract, surveyd_does_not_kill_itself) {
  EXPECT_EQ(run_in(container_(), View::machine,
                   [this](Host& seen) {
                     CgroupTree there{seen, {name_}};
                     const std::string said = force(there);
                     return said.substr(0, said.find(std::to_string(::getpid())));
                   }),
            "failed: processes or child cgroups are in the way ");
}

TEST_P(ForceContract, nothing_is_killed_without_force) {
  const int pid = world_->start_process(container_());
  const std::string refusal =
      "failed: processes or child cgroups are in the way " + std::to_string(pid) + "(bystander)";
  EXPECT_EQ(told(here_->remove_container(id("c1"))), refusal);
  EXPECT_EQ(told(here_->remove_container(id("c1"))), refusal);
}

TEST_P(ForceContract, a_watch_tells_of_a_cgroup_that_is_gone) {
  const auto watch = host().watch(tree + "/" + container_() + "/cgroup.events").value();
  EXPECT_TRUE(watch->read().value().starts_with("populated 0"));
  (void)world_->start_process(container_());
  EXPECT_TRUE(watch->read().value().starts_with("populated 1"));
  EXPECT_EQ(force(), "c1 removed");
  EXPECT_EQ(told(watch->read().error()), "failed: ENODEV");
}

INSTANTIATE_TEST_SUITE_P(worlds, ForceContract, worlds(), name_of_world);

}  // namespace
}  // namespace surveyd::test
