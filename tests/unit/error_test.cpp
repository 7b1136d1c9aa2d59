#include <cerrno>
#include <set>

#include <gtest/gtest.h>

#include <surveyd/error.hpp>

namespace surveyd::test {
namespace {

constexpr Fault every_fault[] = {
    Fault::invalid_container_id, Fault::no_usable_cgroup2, Fault::occupied,
    Fault::not_a_domain,         Fault::not_read_back,     Fault::timed_out,
    Fault::program_failed};

TEST(ErrnoName, IsTheNameThatManualPagesUse) {
  struct Row {
    int number;
    const char* name;
  };
  for (const auto& [number, name] :
       {Row{EPERM, "EPERM"}, Row{ENOENT, "ENOENT"}, Row{EBUSY, "EBUSY"}, Row{EROFS, "EROFS"},
        Row{ENOTEMPTY, "ENOTEMPTY"}, Row{EOPNOTSUPP, "EOPNOTSUPP"}, Row{EAGAIN, "EAGAIN"},
        Row{ESTALE, "ESTALE"}}) {
    EXPECT_EQ(errno_name({number, std::generic_category()}), name);
    EXPECT_EQ(errno_name({number, std::system_category()}), name);
  }
}

TEST(ErrnoName, IsTheNumberWhereThereIsNoName) {
  EXPECT_EQ(errno_name({4095, std::generic_category()}), "4095");
}

TEST(ErrnoName, IsEmptyForAFault) {
  // Fault::occupied has the number of ESRCH.
  for (const Fault fault : every_fault) EXPECT_EQ(errno_name(fault), "");
}

TEST(ErrnoName, IsEmptyWithoutAnError) {
  EXPECT_EQ(errno_name({}), "");
}

TEST(Fault, SaysInItsOwnWordsWhatIsWrong) {
  std::set<std::string> messages;
  for (const Fault fault : every_fault) messages.insert(make_error_code(fault).message());
  EXPECT_EQ(messages.size(), std::size(every_fault));
  EXPECT_FALSE(messages.contains("unknown fault"));
  EXPECT_EQ(messages.count(""), 0U);
}

TEST(Fault, IsNoErrnoOfTheSameNumber) {
  EXPECT_NE(make_error_code(Fault::no_usable_cgroup2), std::errc::no_such_file_or_directory);
  EXPECT_STREQ(make_error_code(Fault::occupied).category().name(), "surveyd");
}

TEST(OsError, KeepsTheErrnoAndWhatItWasAbout) {
  const Error error = os_error(EROFS, "mkdir", "/a");
  EXPECT_EQ(error.code, std::errc::read_only_file_system);
  EXPECT_EQ(error.op, "mkdir");
  EXPECT_EQ(error.path, "/a");
  EXPECT_EQ(error.detail, "");
}

TEST(ErrorText, IsOneLineOfWhatIsKnown) {
  Error error{.code = Fault::occupied};
  EXPECT_EQ(to_string(error), "processes or child cgroups are in the way");
  error.path = "/a";
  EXPECT_EQ(to_string(error), "/a: processes or child cgroups are in the way");
  error.op = "rmdir";
  EXPECT_EQ(to_string(error), "rmdir /a: processes or child cgroups are in the way");
  error.detail = "Stop them first";
  EXPECT_EQ(to_string(error),
            "rmdir /a: processes or child cgroups are in the way. Stop them first");
  error.path.clear();
  EXPECT_EQ(to_string(error), "rmdir: processes or child cgroups are in the way. Stop them first");
}

TEST(ErrorText, SaysWhatTheKernelSaid) {
  EXPECT_EQ(to_string(os_error(ENOENT, "open", "/a")), "open /a: No such file or directory");
}

TEST(Result, ThrowsTheWholeErrorForAValueThatIsNotThere) {
  const Result<int> result = os_error(EACCES, "open", "/a");
  try {
    (void)result.value();
    FAIL() << "there is no value";
  } catch (const std::system_error& thrown) {
    EXPECT_EQ(thrown.code(), std::errc::permission_denied);
    EXPECT_NE(std::string{thrown.what()}.find("open /a"), std::string::npos);
  }
}

}  // namespace
}  // namespace surveyd::test
