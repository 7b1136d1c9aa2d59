#include "parse/mountinfo.hpp"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace surveyd::test {
namespace {

using parse::Mount;

Mount only(std::string_view text) {
  const auto mounts = parse::mountinfo(text);
  EXPECT_EQ(mounts.size(), 1U) << text;
  return mounts.empty() ? Mount{} : mounts.front();
}

TEST(Mountinfo, GivesEveryFieldOfAnOrdinaryLine) {
  const Mount mount = only(
      "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
      "rw,nsdelegate,memory_recursiveprot\n");
  EXPECT_EQ(mount.root, "/");
  EXPECT_EQ(mount.mount_point, "/sys/fs/cgroup");
  EXPECT_EQ(mount.options, "rw,nosuid,nodev,noexec,relatime");
  EXPECT_EQ(mount.type, "cgroup2");
  EXPECT_EQ(mount.source, "cgroup2");
  EXPECT_EQ(mount.super_options, "rw,nsdelegate,memory_recursiveprot");
}

TEST(Mountinfo, TakesAnyNumberOfOptionalFields) {
  for (const std::string optional :
       {"", "shared:1 ", "master:1 ", "shared:1 master:2 ", "shared:1 master:2 propagate_from:3 ",
        "unbindable ", "a:1 b:2 c:3 d:4 e:5 f:6 "}) {
    const std::string line = "1 2 0:30 /r /p rw " + optional + "- cgroup2 source rw\n";
    const Mount mount = only(line);
    EXPECT_EQ(mount.root, "/r") << optional;
    EXPECT_EQ(mount.mount_point, "/p") << optional;
    EXPECT_EQ(mount.type, "cgroup2") << optional;
    EXPECT_EQ(mount.source, "source") << optional;
  }
}

TEST(Mountinfo, UndoesOctalEscapes) {
  struct Row {
    const char* written;
    const char* meant;
  };
  for (const auto& [written, meant] :
       {Row{R"(/a\040b)", "/a b"}, Row{R"(/a\011b)", "/a\tb"}, Row{R"(/a\012b)", "/a\nb"},
        Row{R"(/a\134b)", R"(/a\b)"}, Row{R"(/\040)", "/ "}, Row{R"(/\040\040)", "/  "},
        Row{R"(/a\134040)", R"(/a\040)"}, Row{R"(/a\043)", "/a#"}, Row{R"(/a\377)", "/a\xff"}})
    for (const bool root : {true, false}) {
      const std::string text = written;
      const Mount mount =
          only("1 2 0:30 " + (root ? text + " /p" : "/r " + text) + " rw - cgroup2 none rw\n");
      EXPECT_EQ(root ? mount.root : mount.mount_point, meant) << written;
    }
}

TEST(Mountinfo, LeavesWhatIsNoEscape) {
  for (const char* path : {R"(/a\)", R"(/a\04)", R"(/a\0x0)", R"(/a\891)", R"(/a\ )"}) {
    const std::string text{path};
    const std::string word = text.substr(0, text.find(' '));
    EXPECT_EQ(only("1 2 0:30 / " + word + " rw - cgroup2 none rw\n").mount_point, word);
  }
}

TEST(Mountinfo, EscapesInTheSourceToo) {
  EXPECT_EQ(only(R"(1 2 0:30 / /p rw - fuse.sshfs host:/a\040b rw)").source, "host:/a b");
}

TEST(Mountinfo, TakesALineWithoutSuperOptions) {
  const Mount mount = only("1 2 0:30 / /p rw - cgroup2 none\n");
  EXPECT_EQ(mount.type, "cgroup2");
  EXPECT_EQ(mount.super_options, "");
}

TEST(Mountinfo, LeavesOutLinesWithoutTheForm) {
  for (const char* line :
       {"", "\n", "garbage", "1 2 0:30 / /p rw", "1 2 0:30 / /p rw -", "1 2 0:30 / /p rw - cgroup2",
        "1 2 0:30 / /p rw cgroup2 none rw", "1 2 0:30 / /p rw shared:1 cgroup2 none rw",
        "1 2 0:30 / - rw cgroup2 none rw x", "1 2 0:30 / /p rw a b c -",
        "1 2 0:30 / /p rw a b c - cgroup2", "- - - - - - x y z"})
    EXPECT_TRUE(parse::mountinfo(line).empty()) << line;
}

TEST(Mountinfo, GoesOnAfterALineWithoutTheForm) {
  const auto mounts = parse::mountinfo("garbage\n\n1 2 0:30 / /p rw - cgroup2 none rw\ntrunca");
  ASSERT_EQ(mounts.size(), 1U);
  EXPECT_EQ(mounts.front().mount_point, "/p");
}

// The kernel escapes blank, tab, line feed and backslash only (seq_path() in fs/proc_namespace.c).
TEST(Mountinfo, SplitsAtBlanksOnly) {
  for (const std::string mark : {"\v", "\f", "\r"}) {
    const Mount mount = only("1 2 0:30 /a" + mark + "/sys/fs/cgroup /mnt rw - cgroup2 none rw\n");
    EXPECT_EQ(mount.root, "/a" + mark + "/sys/fs/cgroup");
    EXPECT_EQ(mount.mount_point, "/mnt");
  }
  EXPECT_EQ(only("1 2 0:30 / /p rw - cgroup2  rw\n").super_options, "rw");  // an empty source
}

TEST(MountAt, IsTheLastOneOverThePoint) {
  const auto mounts = parse::mountinfo(
      "1 2 0:30 / /p rw - tmpfs none rw\n"
      "2 2 0:31 /below /p rw - cgroup2 none rw\n"
      "3 2 0:32 / /q rw - tmpfs none rw\n");
  const Mount* mount = parse::mount_at(mounts, "/p");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->type, "cgroup2");
  EXPECT_EQ(mount->root, "/below");
}

TEST(MountAt, IsExactlyThere) {
  const auto mounts = parse::mountinfo("1 2 0:30 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
  EXPECT_EQ(parse::mount_at(mounts, "/sys/fs/cgroup"), nullptr);
  EXPECT_EQ(parse::mount_at(mounts, "/sys/fs/cgroup/unified/"), nullptr);
  EXPECT_NE(parse::mount_at(mounts, "/sys/fs/cgroup/unified"), nullptr);
  EXPECT_EQ(parse::mount_at({}, "/"), nullptr);
}

TEST(Mountinfo, ReadsEveryRecordedLine) {
  std::ifstream file{SURVEYD_FIXTURES "/environments.jsonl"};
  int count = 0;
  for (std::string row; std::getline(file, row);) {
    const auto facts = nlohmann::json::parse(row)["facts"];
    const auto recorded = facts.find("mountinfo_cgroup");
    if (recorded == facts.end() || !recorded->is_array()) continue;
    for (const auto& line : *recorded) {
      const std::string text = line;
      const Mount mount = only(text);
      EXPECT_TRUE(mount.type == "cgroup" || mount.type == "cgroup2" || mount.type == "tmpfs")
          << line;
      EXPECT_TRUE(mount.mount_point.starts_with("/")) << line;
      EXPECT_TRUE(mount.root.starts_with("/")) << line;
      ++count;
    }
  }
  EXPECT_GT(count, 99);
}

}  // namespace
}  // namespace surveyd::test
