#include "host/scratch.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/forked.hpp"

namespace surveyd::test {
namespace {

namespace fs = std::filesystem;

class ScratchTest : public testing::Test {
 protected:
  ScratchTest() {
    std::string pattern = (fs::temp_directory_path() / "scratch-test-XXXXXX").string();
    parent = ::mkdtemp(pattern.data());
  }
  ~ScratchTest() override { fs::remove_all(parent); }

  std::string parent;
};

TEST_F(ScratchTest, IsANewDirectoryForItsUserAlone) {
  const auto scratch = make_scratch(parent, new_scratch_name());
  ASSERT_TRUE(scratch);
  struct stat status {};
  ASSERT_EQ(::stat(scratch->path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST_F(ScratchTest, SaysWhyThereCanBeNone) {
  const auto scratch = make_scratch(parent + "/missing", new_scratch_name());
  ASSERT_FALSE(scratch);
  EXPECT_EQ(scratch.error().code, std::errc::no_such_file_or_directory);
}

TEST_F(ScratchTest, IsLeftAloneWhileItsOwnerLives) {
  const auto scratch = make_scratch(parent, new_scratch_name());
  remove_abandoned_scratch(parent);
  EXPECT_TRUE(fs::exists(scratch->path));
}

TEST_F(ScratchTest, IsRemovedWithEverythingInItAndNothingElse) {
  const fs::path outside = fs::path{parent} / "outside";
  fs::create_directories(outside);
  std::ofstream{outside / "file"} << "kept";
  const std::string name = new_scratch_name();
  {
    const auto scratch = make_scratch(parent, name);
    const fs::path path = scratch->path;
    fs::create_directories(path / "work" / "work");  // as overlayfs leaves it
    ::chmod((path / "work" / "work").c_str(), 0);
    fs::create_directories(path / "closed" / "deeper");
    ::chmod((path / "closed").c_str(), 0);
    fs::create_directory_symlink(outside, path / "link");
    ::mkfifo((path / "pipe").c_str(), 0600);
  }
  remove_scratch(parent, name);
  EXPECT_FALSE(fs::exists(fs::path{parent} / name));
  EXPECT_TRUE(fs::exists(outside / "file"));
}

TEST_F(ScratchTest, WhatAKilledOwnerLeftIsFoundByItsName) {
  (void)make_scratch(parent, new_scratch_name());
  fs::create_directory(fs::path{parent} / ".surveyd-else");
  remove_abandoned_scratch(parent);
  int left = 0;
  for (const auto& entry : fs::directory_iterator{parent}) {
    EXPECT_EQ(entry.path().filename(), ".surveyd-else");
    ++left;
  }
  EXPECT_EQ(left, 1);
}

using std::chrono::milliseconds;

TEST(RunForked, GivesWhatWasWrittenAndTheStatus) {
  const auto outcome =
      run_forked([](int output) { EXPECT_EQ(::write(output, "one\n", 4), 4); }, milliseconds{5000});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output, "one\n");
  EXPECT_EQ(outcome->status, 0);
  EXPECT_FALSE(outcome->timed_out);
}

TEST(RunForked, KillsWhatHangsAndKeepsWhatItHadWritten) {
  const auto outcome = run_forked(
      [](int output) {
        EXPECT_EQ(::write(output, "half", 4), 4);
        while (true) ::pause();
      },
      milliseconds{50});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->timed_out);
  EXPECT_EQ(outcome->output, "half");
  ASSERT_TRUE(outcome->status);
  EXPECT_EQ(WTERMSIG(*outcome->status), SIGKILL);
}

TEST(RunForked, SaysWhichSignalEndedIt) {
  const auto outcome = run_forked([](int) { ::raise(SIGTERM); }, milliseconds{5000});
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->timed_out);
  EXPECT_EQ(WTERMSIG(*outcome->status), SIGTERM);
}

TEST(RunForked, DoesNotWaitForWhoeverHoldsItsOutput) {
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = run_forked(
      [](int output) {
        if (::fork() == 0) {
          ::pause();
          ::_exit(0);
        }
        EXPECT_EQ(::write(output, "done", 4), 4);
      },
      milliseconds{20'000});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output, "done");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds{10'000});
}

}  // namespace
}  // namespace surveyd::test
