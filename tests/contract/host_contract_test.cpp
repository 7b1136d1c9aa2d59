#include <algorithm>

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/fake_cgroup_host.hpp"

// What Host answers about directories, files and attributes, and what an entered host lets out.
// What cgroup files themselves do is in kernel_rules_test.cpp.

namespace surveyd::test {
namespace {

const std::string tree = "/sys/fs/cgroup";

template <class T>
std::string answer(const Result<T>& result) {
  if (result) return "ok";
  const std::string name = errno_name(result.error().code);
  return name.empty() ? result.error().code.message() : name;
}

class HostContract : public testing::TestWithParam<WorldFactory> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    if (const std::string reason = world_->why_not(); !reason.empty()) GTEST_SKIP() << reason;
    base_ = tree + "/" + world_->name();
    ASSERT_EQ(answer(host().make_directory(base_)), "ok");
  }

  Host& host() { return world_->host(); }
  std::unique_ptr<Host> entered(const std::string& directory) {
    auto result = host().enter(directory);
    return result ? std::move(*result) : nullptr;
  }
  std::vector<std::string> directories(const std::string& path) {
    std::vector<std::string> names;
    if (const auto entries = host().list(path))
      for (const DirectoryEntry& entry : *entries)
        if (entry.is_directory) names.push_back(entry.name);
    return names;
  }

  std::unique_ptr<World> world_;
  std::string base_;
};

using Names = std::vector<std::string>;

TEST_P(HostContract, a_new_directory_is_there_and_listed) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/new")), "ok");
  const auto info = host().stat(base_ + "/new");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->kind, FileKind::directory);
  EXPECT_EQ(directories(base_), Names{"new"});
}

TEST_P(HostContract, a_directory_is_not_made_over_what_is_there) {
  EXPECT_EQ(answer(host().make_directory(base_)), "EEXIST");
  EXPECT_EQ(answer(host().make_directory(base_ + "/cgroup.procs")), "EEXIST");
  EXPECT_EQ(answer(host().make_directory(base_ + "/.")), "EEXIST");
  EXPECT_EQ(answer(host().make_directory(base_ + "/..")), "EEXIST");
}

TEST_P(HostContract, a_directory_needs_its_parent) {
  EXPECT_EQ(answer(host().make_directory(base_ + "/absent/new")), "ENOENT");
  EXPECT_EQ(answer(host().make_directory(base_ + "/cgroup.procs/new")), "ENOTDIR");
}

TEST_P(HostContract, a_line_end_in_a_name_would_forge_proc_cgroup) {
  EXPECT_EQ(answer(host().make_directory(base_ + "/a\nb")), "EINVAL");
}

TEST_P(HostContract, an_empty_directory_is_removed) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/gone")), "ok");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/gone")), "ok");
  EXPECT_EQ(answer(host().stat(base_ + "/gone")), "ENOENT");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/gone")), "ENOENT");
}

TEST_P(HostContract, files_and_dots_are_not_removed) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/cgroup.procs")), "ENOTDIR");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a/.")), "EINVAL");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a/..")), "ENOTEMPTY");
  EXPECT_EQ(directories(base_), Names{"a"});
}

TEST_P(HostContract, a_directory_with_a_child_stays) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  ASSERT_EQ(answer(host().make_directory(base_ + "/a/b")), "ok");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a")), "EBUSY");
}

TEST_P(HostContract, a_populated_directory_stays_until_its_process_ended) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  const int pid = world_->start_process(world_->name() + "/a");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a")), "EBUSY");
  world_->end_process(pid);
  world_->wait_until_empty(world_->name() + "/a");
  EXPECT_EQ(answer(host().remove_directory(base_ + "/a")), "ok");
}

TEST_P(HostContract, a_list_is_sorted_without_the_dots) {
  for (const char* name : {"/c", "/a", "/b"})
    ASSERT_EQ(answer(host().make_directory(base_ + name)), "ok");
  const auto entries = host().list(base_);
  ASSERT_TRUE(entries);
  EXPECT_TRUE(std::is_sorted(entries->begin(), entries->end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  EXPECT_EQ(directories(base_), (Names{"a", "b", "c"}));
  for (const DirectoryEntry& entry : *entries)
    EXPECT_EQ(entry.is_directory, entry.name.size() == 1) << entry.name;
}

TEST_P(HostContract, a_call_of_the_wrong_kind_says_so) {
  EXPECT_EQ(answer(host().read(base_)), "EISDIR");
  EXPECT_EQ(answer(host().write(base_, "x")), "EISDIR");
  EXPECT_EQ(answer(host().try_open(base_)), "EISDIR");
  EXPECT_EQ(answer(host().list(base_ + "/cgroup.procs")), "ENOTDIR");
  EXPECT_EQ(answer(host().attribute(base_ + "/cgroup.procs", "user.x")), "ENODATA");
  EXPECT_EQ(answer(host().enter(base_ + "/cgroup.procs")), "ENOTDIR");
}

TEST_P(HostContract, what_is_absent_is_ENOENT_for_every_call) {
  const std::string absent = base_ + "/absent";
  EXPECT_EQ(answer(host().read(absent)), "ENOENT");
  EXPECT_EQ(answer(host().list(absent)), "ENOENT");
  EXPECT_EQ(answer(host().stat(absent)), "ENOENT");
  EXPECT_EQ(answer(host().file_system(absent)), "ENOENT");
  EXPECT_EQ(answer(host().try_open(absent)), "ENOENT");
  EXPECT_EQ(answer(host().access(absent, W_OK, As::effective_user)), "ENOENT");
  EXPECT_EQ(answer(host().attribute(absent, "user.x")), "ENOENT");
  EXPECT_EQ(answer(host().write(absent, "x")), "ENOENT");
  EXPECT_EQ(answer(host().set_attribute(absent, "user.x", "1")), "ENOENT");
  EXPECT_EQ(answer(host().enter(absent)), "ENOENT");
  EXPECT_EQ(answer(host().read("")), "ENOENT");
}

TEST_P(HostContract, a_directory_keeps_user_attributes) {
  EXPECT_EQ(answer(host().attribute(base_, "user.mark")), "ENODATA");
  ASSERT_EQ(answer(host().set_attribute(base_, "user.mark", "1")), "ok");
  const auto value = host().attribute(base_, "user.mark");
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, "1");
  EXPECT_EQ(answer(host().set_attribute(base_, "mark", "1")), "EOPNOTSUPP");
}

TEST_P(HostContract, statfs_tells_the_tree_from_other_file_systems) {
  const auto here = host().file_system(base_);
  ASSERT_TRUE(here);
  EXPECT_EQ(here->magic, cgroup2_magic);
  EXPECT_FALSE(here->read_only);
  const auto elsewhere = host().file_system(world_->playground() + "/mounted");
  ASSERT_TRUE(elsewhere);
  EXPECT_EQ(elsewhere->magic, tmpfs_magic);
}

TEST_P(HostContract, the_real_root_is_inode_1_and_its_namespace_has_a_fixed_number) {
  const auto root = host().stat(tree);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->inode, 1U);
  const auto space = host().stat("/proc/self/ns/cgroup");
  ASSERT_TRUE(space);
  EXPECT_EQ(space->inode, 0xEFFFFFFBU);
}

TEST_P(HostContract, a_read_only_mount_refuses_every_change_but_still_says_what_exists) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  ASSERT_EQ(answer(host().make_directory(base_ + "/a/b")), "ok");
  const std::string a = base_ + "/a";
  const std::string told = world_->run_in(world_->name() + "/a", View::read_only, [&a](Host& seen) {
    const auto file_system = seen.file_system(a);
    std::string text = file_system && file_system->read_only ? "read-only" : "writable";
    for (const std::string& one :
         {answer(seen.make_directory(a)), answer(seen.make_directory(a + "/new")),
          answer(seen.remove_directory(a + "/b")), answer(seen.remove_directory(a + "/absent")),
          answer(seen.write(a + "/cgroup.procs", "0")), answer(seen.write(a + "/absent", "0")),
          answer(seen.set_attribute(a, "user.x", "1")),
          answer(seen.access(a, W_OK, As::effective_user)),
          answer(seen.access(a, R_OK | X_OK, As::effective_user)),
          answer(seen.read(a + "/cgroup.procs"))})
      text += " " + one;
    return text;
  });
  EXPECT_EQ(told, "read-only EEXIST EROFS EROFS EROFS EROFS ENOENT EROFS EROFS ok ok");
}

TEST_P(HostContract, an_entered_host_takes_relative_paths) {
  const auto inside = entered(base_);
  ASSERT_TRUE(inside);
  EXPECT_EQ(answer(inside->make_directory("a")), "ok");
  EXPECT_EQ(answer(inside->make_directory("a/b")), "ok");
  EXPECT_EQ(answer(inside->stat(".")), "ok");
  EXPECT_EQ(answer(inside->read("a/cgroup.controllers")), "ok");
  EXPECT_EQ(answer(inside->set_attribute("a", "user.x", "1")), "ok");
  EXPECT_EQ(answer(inside->access("a", W_OK, As::effective_user)), "ok");
  EXPECT_EQ(answer(inside->remove_directory("a/b")), "ok");
  EXPECT_EQ(directories(base_), Names{"a"});
  const auto deeper = inside->enter("a");
  ASSERT_TRUE(deeper);
  EXPECT_EQ(answer((*deeper)->make_directory("c")), "ok");
  EXPECT_EQ(directories(base_ + "/a"), Names{"c"});
}

TEST_P(HostContract, an_entered_host_names_what_failed_by_its_path_on_the_machine) {
  const auto inside = entered(base_);
  ASSERT_TRUE(inside);
  const auto absent = inside->read("absent");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().path, base_ + "/absent");
}

TEST_P(HostContract, no_dots_lead_out_of_an_entered_host) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  ASSERT_EQ(answer(host().make_directory(base_ + "/other")), "ok");
  const auto inside = entered(base_ + "/a");
  ASSERT_TRUE(inside);
  EXPECT_EQ(answer(inside->read("../cgroup.procs")), "EXDEV");
  EXPECT_EQ(answer(inside->list("..")), "EXDEV");
  EXPECT_EQ(answer(inside->stat("./../other")), "EXDEV");
  EXPECT_EQ(answer(inside->file_system("../other")), "EXDEV");
  EXPECT_EQ(answer(inside->try_open("../cgroup.procs")), "EXDEV");
  EXPECT_EQ(answer(inside->access("..", R_OK, As::effective_user)), "EXDEV");
  EXPECT_EQ(answer(inside->attribute("..", "user.x")), "EXDEV");
  EXPECT_EQ(answer(inside->make_directory("../new")), "EXDEV");
  EXPECT_EQ(answer(inside->remove_directory("../other")), "EXDEV");
  EXPECT_EQ(answer(inside->write("../cgroup.max.depth", "max")), "EXDEV");
  EXPECT_EQ(answer(inside->set_attribute("..", "user.x", "1")), "EXDEV");
  EXPECT_EQ(answer(inside->enter("..")), "EXDEV");
  EXPECT_EQ(directories(base_), (Names{"a", "other"}));
}

TEST_P(HostContract, no_absolute_path_leads_out_of_an_entered_host) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  const auto inside = entered(base_);
  ASSERT_TRUE(inside);
  EXPECT_EQ(answer(inside->read("/proc/self/cgroup")), "EXDEV");
  EXPECT_EQ(answer(inside->stat("/a")), "EXDEV");
  EXPECT_EQ(answer(inside->make_directory("/new")), "EXDEV");
  EXPECT_EQ(answer(inside->remove_directory(base_ + "/a")), "EXDEV");
}

TEST_P(HostContract, no_link_leads_out_of_an_entered_host) {
  const std::string& ground = world_->playground();
  EXPECT_EQ(answer(host().read(ground + "/link")), "ok");  // the whole machine follows them
  const auto inside = entered(ground);
  ASSERT_TRUE(inside);
  EXPECT_EQ(answer(inside->read("inside/file")), "ok");
  EXPECT_EQ(answer(inside->read("link")), "ELOOP");
  EXPECT_NE(answer(inside->read("out/proc/self/cgroup")), "ok");
  EXPECT_NE(answer(inside->list("up")), "ok");
  EXPECT_NE(answer(inside->enter("out")), "ok");
  EXPECT_NE(answer(inside->make_directory("up/new")), "ok");
}

TEST_P(HostContract, a_link_is_not_mistaken_for_what_an_entered_host_holds) {
  const auto inside = entered(world_->playground());
  ASSERT_TRUE(inside);
  EXPECT_EQ(answer(inside->stat("link")), "ELOOP");
  EXPECT_EQ(answer(inside->access("link", R_OK, As::effective_user)), "ELOOP");
}

TEST_P(HostContract, a_mount_inside_an_entered_host_is_shut_or_shows_its_own_magic) {
  const auto inside = entered(world_->playground());
  ASSERT_TRUE(inside);
  // Without openat2 mounts are crossed, and whoever asks tells them by statfs.
  const auto crossed = inside->file_system("mounted");
  const bool told_apart = crossed ? crossed->magic == tmpfs_magic : answer(crossed) == "EXDEV";
  EXPECT_TRUE(told_apart);
}

TEST_P(HostContract, a_directory_is_found_by_its_inode) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  ASSERT_EQ(answer(host().make_directory(base_ + "/a/b")), "ok");
  const auto inode = [this](const std::string& path) { return host().stat(path)->inode; };
  const auto inside = entered(base_ + "/a");
  ASSERT_TRUE(inside);
  const auto found = inside->find_directory(inode(base_ + "/a/b"));
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(*found, "b");
  EXPECT_EQ(inside->find_directory(inode(base_ + "/a")).value(), "");
  EXPECT_EQ(answer(inside->find_directory(inode(base_))), "EXDEV");
  EXPECT_EQ(answer(inside->find_directory(1)), "EXDEV");
}

TEST_P(HostContract, a_removed_directory_is_found_no_more) {
  ASSERT_EQ(answer(host().make_directory(base_ + "/a")), "ok");
  const std::uint64_t inode = host().stat(base_ + "/a")->inode;
  ASSERT_EQ(answer(host().remove_directory(base_ + "/a")), "ok");
  EXPECT_EQ(answer(entered(base_)->find_directory(inode)), "ESTALE");
}

TEST_P(HostContract, the_inode_of_a_file_finds_no_directory) {
  const std::uint64_t inode = host().stat(base_ + "/cgroup.procs")->inode;
  EXPECT_NE(answer(entered(base_)->find_directory(inode)), "ok");
}

INSTANTIATE_TEST_SUITE_P(worlds, HostContract,
                         testing::Values(WorldFactory{"fake", make_fake_world},
                                         WorldFactory{"kernel", make_kernel_world}),
                         [](const auto& instance) { return std::string{instance.param.name}; });

}  // namespace
}  // namespace surveyd::test
