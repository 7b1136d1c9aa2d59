#include "contract/contract.hpp"

// What CgroupTree does to a tree, on the fake and on the kernel: ensure, list and remove. What it
// does about each errno is in ensure_errnos_test.cpp, on the fake alone.

namespace surveyd::test {
namespace {

TEST_P(CgroupContract, host_placement_makes_two_levels_and_delegates_at_each) {
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)),
            "host " + parent_ + " +/" + name_ + " +" + parent_);
  EXPECT_EQ(words(name_ + "/cgroup.subtree_control"), offered());
  EXPECT_EQ(words(name_ + "/containers/cgroup.subtree_control"), offered());
  EXPECT_EQ(type(name_ + "/containers"), "domain");
  EXPECT_EQ(own_path(host()), "/");  // the daemon stays where it is
}

TEST_P(CgroupContract, a_second_host_placement_makes_nothing) {
  CgroupTree first{host(), {name_}};
  ASSERT_TRUE(first.ensure(Placement::host));
  EXPECT_EQ(told(first.ensure(Placement::host)), "host " + parent_);
  CgroupTree restarted{host(), {name_}};
  EXPECT_EQ(told(restarted.ensure(Placement::host)), "host " + parent_);
}

TEST_P(CgroupContract, what_an_interrupted_call_left_is_completed) {
  make(name_);
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)), "host " + parent_ + " +" + parent_);
}

TEST_P(CgroupContract, a_controller_that_was_withdrawn_is_delegated_again) {
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  for (const std::string level : {"/containers/", "/"})
    write(name_ + level + "cgroup.subtree_control", "-" + offered().front());
  EXPECT_EQ(told(tree_here.ensure(Placement::host)), "host " + parent_);
  EXPECT_EQ(words(name_ + "/containers/cgroup.subtree_control"), offered());
}

TEST_P(CgroupContract, automatic_placement_at_the_real_root_is_host) {
  for (const auto& [space, inode] : {std::pair{"pid", 0xEFFFFFFC}, {"user", 0xEFFFFFFD}})
    if (const auto info = host().stat(std::string{"/proc/self/ns/"} + space);
        !info || info->inode != inode)
      GTEST_SKIP() << "the " << space << " namespace is not the initial one";
  CgroupTree tree_here{host(), {name_}};
  const auto report = tree_here.ensure(Placement::automatic);
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(report->placement, Placement::host);
}

TEST_P(CgroupContract, the_parent_is_inspected_before_and_after) {
  CgroupTree tree_here{host(), {name_}};
  EXPECT_FALSE(tree_here.inspect_container_parent().value().exists);
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  const ContainerParent parent = tree_here.inspect_container_parent().value();
  EXPECT_TRUE(parent.exists);
  EXPECT_EQ(parent.path, parent_);
  EXPECT_EQ(parent.offered, offered());
  EXPECT_EQ(parent.delegated, offered());
}

TEST_P(CgroupContract, processes_in_a_level_are_named_and_nothing_is_made_or_threaded) {
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  make(name_);
  const std::string pid = std::to_string(world_->start_process(name_));
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)),
            "failed: processes or child cgroups are in the way " + pid + "(bystander)");
  EXPECT_EQ(children(name_), Names{});
  EXPECT_EQ(words(name_ + "/cgroup.subtree_control"), Names{});
  EXPECT_EQ(type(name_), "domain");
}

TEST_P(CgroupContract, a_threaded_level_is_refused_and_nothing_is_made) {
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  make(name_);
  write(name_ + "/cgroup.type", "threaded");
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)), "failed: the cgroup is not a domain");
  EXPECT_EQ(children(name_), Names{});
}

TEST_P(CgroupContract, a_level_that_was_there_survives_a_failure) {
  make(name_);
  write(name_ + "/cgroup.max.depth", "0");
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)), "failed: EAGAIN");
  EXPECT_EQ(type(name_), "domain");
}

TEST_P(CgroupContract, an_absent_container_counts_as_removed) {
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))), "c1 absent");
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))), "c1 absent");
}

TEST_P(CgroupContract, an_empty_container_is_removed_once) {
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  make(name_ + "/containers/c1");
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))), "c1 removed");
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))), "c1 absent");
  EXPECT_EQ(children(name_), Names{"containers"});
}

TEST_P(CgroupContract, a_populated_container_stays_and_its_processes_are_named) {
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  make(name_ + "/containers/c1");
  const int pid = world_->start_process(name_ + "/containers/c1");
  const std::string named = std::to_string(pid) + "(bystander)";
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))),
            "failed: processes or child cgroups are in the way " + named);
  EXPECT_EQ(words(name_ + "/containers/c1/cgroup.procs"), Names{std::to_string(pid)});
  world_->end_process(pid);
  world_->wait_until_empty(name_);
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))), "c1 removed");
}

TEST_P(CgroupContract, a_container_with_children_stays_and_they_are_named) {
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  make(name_ + "/containers/c1");
  make(name_ + "/containers/c1/inner");
  const std::string pid = std::to_string(world_->start_process(name_ + "/containers/c1/inner"));
  EXPECT_EQ(told(tree_here.remove_container(id("c1"))),
            "failed: processes or child cgroups are in the way " + pid + "(bystander) " + parent_ +
                "/c1/inner");
  EXPECT_EQ(children(name_ + "/containers/c1"), Names{"inner"});
}

TEST_P(CgroupContract, on_a_read_only_tree_absent_is_still_absent) {
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  make(name_ + "/containers/c1");
  make(name_ + "/aside");
  EXPECT_EQ(run_in(name_ + "/containers/c1", View::read_only,
                   [this](Host& seen) {
                     CgroupTree there{seen, {name_}};
                     return told(there.remove_container(id("c2"))) + ", " +
                            told(there.remove_container(id("c1")));
                   }),
            "c2 absent, failed: EROFS");
}

TEST_P(CgroupContract, what_is_delegated_below_cannot_be_withdrawn_above) {
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  for (const std::string& level : {std::string{}, "/" + name_})
    for (const std::string& controller : offered()) {
      const auto withdrawn =
          host().write(tree + level + "/cgroup.subtree_control", "-" + controller);
      ASSERT_FALSE(withdrawn) << level << " -" << controller;
      EXPECT_EQ(told(withdrawn.error()), "failed: EBUSY") << level << " -" << controller;
    }
}

TEST_P(CgroupContract, a_base_is_divided_in_place_of_the_root) {
  make_scope();
  const std::string base = "/" + scope_;
  EXPECT_EQ(run_in(scope_, View::machine,
                   [&](Host& seen) {
                     CgroupTree there{seen, {"pods", base}};
                     const std::string first = told(there.ensure(Placement::automatic));
                     return first + "; " + told(there.ensure(Placement::host)) + "; lives in " +
                            own_path(seen);
                   }),
            "host " + base + "/pods/containers +" + base + "/init +" + base + "/pods +" + base +
                "/pods/containers self moved; host " + base + "/pods/containers; lives in " + base +
                "/init");
  EXPECT_EQ(words(scope_ + "/pods/containers/cgroup.subtree_control"), offered());
}

TEST_P(CgroupContract, a_base_that_is_not_ours_is_left_to_its_processes) {
  make_scope();
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  const int pid = world_->start_process(scope_);
  CgroupTree there{host(), {"pods", "/" + scope_}};
  EXPECT_EQ(
      told(there.ensure(Placement::host, Evacuate::all)),
      "failed: processes or child cgroups are in the way " + std::to_string(pid) + "(bystander)");
  EXPECT_EQ(children(scope_), Names{});
  CgroupTree nowhere{host(), {"pods", "/" + name_ + "/nowhere"}};
  EXPECT_EQ(told(nowhere.ensure(Placement::host)), "failed: ENOENT");
}

TEST_P(CgroupContract, everybody_in_the_scope_is_moved_when_that_is_asked_for) {
  make_scope();
  const int first = world_->start_process(scope_);
  const int second = world_->start_process(scope_);
  const std::string scope = "/" + scope_;
  const auto ensure_all = [this](Host& seen) {
    return told(CgroupTree{seen, {name_}}.ensure(Placement::scope, Evacuate::all));
  };
  EXPECT_EQ(run_in(scope_, View::machine, ensure_all),
            "scope " + scope + "/containers +" + scope + "/init +" + scope +
                "/containers self moved another moved another moved");
  EXPECT_EQ(words(scope_ + "/init/cgroup.procs"),
            (Names{std::to_string(first), std::to_string(second)}));
  // Those that came later, and not what lives in the containers.
  make(scope_ + "/containers/c1");
  const int contained = world_->start_process(scope_ + "/containers/c1");
  EXPECT_EQ(run_in(scope_ + "/init", View::machine, ensure_all), "scope " + scope + "/containers");
  EXPECT_EQ(words(scope_ + "/containers/c1/cgroup.procs"), Names{std::to_string(contained)});
}

TEST_P(CgroupContract, a_container_s_age_and_emptiness_are_told) {
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  const auto before = host().today() - std::chrono::seconds{1};
  make(name_ + "/containers/c1");
  const int pid = world_->start_process(name_ + "/containers/c1");
  EXPECT_EQ(tree_here.list_containers()->containers[0].empty_since, std::nullopt);
  world_->end_process(pid);
  world_->wait_until_empty(name_ + "/containers/c1");
  const ContainerCgroup empty = tree_here.list_containers()->containers[0];
  ASSERT_TRUE(empty.empty_since);
  EXPECT_GE(*empty.empty_since, before);
  EXPECT_LE(*empty.empty_since, host().today());
  EXPECT_FALSE(empty.orphaned);
  EXPECT_LE(empty.created_at, host().today());
  EXPECT_EQ(tree_here.list_containers()->containers[0].created_at, empty.created_at);
}

TEST_P(CgroupContract, containers_are_listed_with_their_state) {
  CgroupTree tree_here{host(), {name_}};
  EXPECT_FALSE(tree_here.list_containers().value().exists);
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  for (const char* container : {"busy", "empty", "nesting", "nesting/inner"})
    make(name_ + "/containers/" + container);
  (void)world_->start_process(name_ + "/containers/busy");
  (void)world_->start_process(name_ + "/containers/nesting/inner");

  const ContainerList list = tree_here.list_containers().value();
  EXPECT_EQ(list.container_parent, parent_);
  Names lines;
  for (const ContainerCgroup& one : list.containers) {
    lines.push_back(one.id + (one.populated ? " populated " : " empty ") +
                    std::to_string(one.processes) + " " + std::to_string(one.nested));
    EXPECT_EQ(one.controllers, offered()) << one.id;
  }
  EXPECT_EQ(lines, (Names{"busy populated 1 0", "empty empty 0 0", "nesting populated 0 1"}));
}

TEST_P(CgroupContract, a_socket_s_cgroup_is_known_to_be_a_container_s_or_not) {
  make_scope();
  CgroupTree tree_here{host(), {name_}};
  ASSERT_TRUE(tree_here.ensure(Placement::host));
  make(name_ + "/containers/c1");
  const auto below = [&](const std::string& cgroup) {
    const auto info = host().stat(tree + "/" + cgroup);
    return info && tree_here.is_below_container_parent(info->inode).value();
  };
  EXPECT_TRUE(below(name_ + "/containers/c1"));
  EXPECT_TRUE(below(name_ + "/containers"));
  EXPECT_FALSE(below(scope_));
  EXPECT_FALSE(below(""));
}

TEST_P(CgroupContract, scope_placement_moves_the_daemon_beside_the_containers) {
  make_scope();
  const std::string scope = "/" + scope_;
  EXPECT_EQ(run_in(scope_, View::machine,
                   [this](Host& seen) {
                     CgroupTree there{seen, {name_}};
                     const std::string first = told(there.ensure(Placement::scope));
                     return first + ", lives in " + own_path(seen);
                   }),
            "scope " + scope + "/containers +" + scope + "/init +" + scope +
                "/containers self moved, lives in " + scope + "/init");
  EXPECT_EQ(words(scope_ + "/containers/cgroup.subtree_control"), offered());
  EXPECT_EQ(type(scope_), "domain");
}

TEST_P(CgroupContract, scope_placement_is_idempotent_from_within_the_leaf) {
  make_scope();
  const std::string told_twice = run_in(scope_, View::machine, [this](Host& seen) {
    CgroupTree there{seen, {name_}};
    (void)told(there.ensure(Placement::scope));
    return told(there.ensure(Placement::scope)) + ", lives in " + own_path(seen);
  });
  const std::string nothing_made = "scope /" + scope_ + "/containers";
  EXPECT_EQ(told_twice, nothing_made + ", lives in /" + scope_ + "/init");
  EXPECT_EQ(ensure_from(scope_ + "/init"), nothing_made);  // a restart in the leaf
}

TEST_P(CgroupContract, a_directory_named_init_without_our_mark_is_a_scope_of_its_own) {
  make_scope();
  delegate_all(scope_);
  const std::string init = scope_ + "/init";
  make(init);
  EXPECT_EQ(ensure_from(init), "scope /" + init + "/containers +/" + init + "/init +/" + init +
                                   "/containers self moved");
}

TEST_P(CgroupContract, another_process_in_the_scope_is_named_and_later_calls_converge) {
  make_scope();
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  const int pid = world_->start_process(scope_);
  EXPECT_EQ(run_in(scope_, View::machine,
                   [this](Host& seen) {
                     const auto report = CgroupTree{seen, {name_}}.ensure(Placement::scope);
                     const bool says = !report && report.error().detail.find(scope_ + "/init") !=
                                                      std::string::npos;
                     return told(report) + ", lives in " + own_path(seen) +
                            (says ? " and says so" : "");
                   }),
            "failed: processes or child cgroups are in the way " + std::to_string(pid) +
                "(bystander), lives in /" + scope_ + "/init and says so");
  EXPECT_EQ(children(scope_), Names{"init"});
  EXPECT_EQ(words(scope_ + "/cgroup.subtree_control"), Names{});
  EXPECT_EQ(type(scope_), "domain");

  world_->end_process(pid);
  world_->wait_until_empty(scope_);
  EXPECT_EQ(ensure_from(scope_),
            "scope /" + scope_ + "/containers +/" + scope_ + "/containers self moved");
}

// The kernel takes these alone over residents unless a child domain is populated: here it is the
// leaf, with the daemon in it, that keeps the scope from becoming a thread root.
TEST_P(CgroupContract, threaded_controllers_alone_are_not_enabled_over_residents) {
  if (threaded().empty()) GTEST_SKIP() << no_threaded;
  make_scope_offered(threaded());
  const std::string pid = std::to_string(world_->start_process(scope_));
  EXPECT_EQ(ensure_from(scope_),
            "failed: processes or child cgroups are in the way " + pid + "(bystander)");
  EXPECT_EQ(type(scope_), "domain");
  EXPECT_EQ(words(scope_ + "/cgroup.subtree_control"), Names{});
}

// And here nothing but surveyd does.
TEST_P(CgroupContract, threaded_controllers_alone_make_no_thread_root_of_a_base_with_residents) {
  if (threaded().empty()) GTEST_SKIP() << no_threaded;
  make_scope_offered(threaded());
  const std::string pid = std::to_string(world_->start_process(scope_));
  CgroupTree there{host(), {"pods", "/" + scope_}};
  EXPECT_EQ(told(there.ensure(Placement::host)),
            "failed: processes or child cgroups are in the way " + pid + "(bystander)");
  EXPECT_EQ(type(scope_), "domain");
  EXPECT_EQ(words(scope_ + "/cgroup.subtree_control"), Names{});
  EXPECT_EQ(children(scope_), Names{});
}

TEST_P(CgroupContract, threaded_controllers_alone_are_delegated_once_everybody_has_moved) {
  if (threaded().empty()) GTEST_SKIP() << no_threaded;
  make_scope_offered(threaded());
  (void)world_->start_process(scope_);
  EXPECT_EQ(run_in(scope_, View::machine,
                   [this](Host& seen) {
                     return told(CgroupTree{seen, {name_}}.ensure(Placement::scope, Evacuate::all));
                   }),
            "scope /" + scope_ + "/containers +/" + scope_ + "/init +/" + scope_ +
                "/containers self moved another moved");
  EXPECT_EQ(type(scope_), "domain");
  EXPECT_EQ(words(scope_ + "/containers/cgroup.subtree_control"), threaded());
}

TEST_P(CgroupContract, a_thread_root_is_refused_and_nothing_is_made) {
  if (offered().empty()) GTEST_SKIP() << "v2 has no controller here";
  make(name_);
  make(name_ + "/threads");
  write(name_ + "/threads/cgroup.type", "threaded");
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::host)), "failed: the cgroup is not a domain");
  EXPECT_EQ(children(name_), Names{"threads"});
  EXPECT_EQ(words(name_ + "/cgroup.subtree_control"), Names{});
}

// The kernel takes these in a thread root: only the containers would be invalid.
TEST_P(CgroupContract, a_thread_root_is_not_given_threaded_controllers_either) {
  if (threaded().empty()) GTEST_SKIP() << no_threaded;
  make_scope_offered(threaded());
  make(scope_ + "/threads");
  write(scope_ + "/threads/cgroup.type", "threaded");
  CgroupTree there{host(), {"pods", "/" + scope_}};
  EXPECT_EQ(told(there.ensure(Placement::host)), "failed: the cgroup is not a domain");
  EXPECT_EQ(children(scope_), Names{"threads"});
  EXPECT_EQ(words(scope_ + "/cgroup.subtree_control"), Names{});
}

TEST_P(CgroupContract, when_the_sibling_cannot_be_made_the_leaf_stays_as_it_is_lived_in) {
  make_scope();
  write(scope_ + "/cgroup.max.descendants", "1");
  EXPECT_EQ(ensure_from(scope_), "failed: EAGAIN");
  EXPECT_EQ(children(scope_), Names{"init"});
}

TEST_P(CgroupContract, the_root_of_a_private_namespace_is_a_scope) {
  make_scope();
  EXPECT_EQ(ensure_from(scope_, Placement::automatic, View::private_namespace),
            "scope /containers +/init +/containers self moved");
  EXPECT_EQ(children(scope_), (Names{"containers", "init"}));
}

TEST_P(CgroupContract, host_placement_is_refused_at_the_root_of_a_private_namespace) {
  make_scope();
  EXPECT_EQ(ensure_from(scope_, Placement::host, View::private_namespace),
            "failed: no usable cgroup v2 here");
  EXPECT_EQ(children(scope_), Names{});
}

TEST_P(CgroupContract, a_private_namespace_that_sees_the_host_s_tree_cannot_place_itself) {
  make_scope();
  EXPECT_EQ(ensure_from(scope_, Placement::automatic, View::host_tree_in_private_namespace),
            "failed: no usable cgroup v2 here");
  EXPECT_EQ(children(scope_), Names{});
}

TEST_P(CgroupContract, on_a_read_only_tree_nothing_is_made) {
  make_scope();
  EXPECT_EQ(ensure_from(scope_, Placement::scope, View::read_only), "failed: EROFS");
  EXPECT_EQ(ensure_from(scope_, Placement::host, View::read_only), "failed: EROFS");
  EXPECT_EQ(children(scope_), Names{});
  EXPECT_EQ(children(name_), Names{"scope"});
}

TEST_P(CgroupContract, scope_placement_at_the_real_root_is_refused) {
  CgroupTree tree_here{host(), {name_}};
  EXPECT_EQ(told(tree_here.ensure(Placement::scope)), "failed: no usable cgroup v2 here");
  EXPECT_FALSE(host().stat(tree + "/init"));
  EXPECT_FALSE(host().stat(tree + "/containers"));
}

INSTANTIATE_TEST_SUITE_P(worlds, CgroupContract, worlds(), name_of_world);

}  // namespace
}  // namespace surveyd::test
