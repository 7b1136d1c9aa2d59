#include "probes/sandbox.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace surveyd::test {
namespace {

using probes::name_sandbox;

Finding finding(Status status, ReasonCode code, int error = 0) {
  Finding one;
  one.id = "one";
  one.status = status;
  one.code = code;
  one.evidence.push_back({.source = "open", .value = {}, .error = {}});
  if (error != 0) one.evidence.back().error = {error, std::generic_category()};
  return one;
}

bool is_named(const Finding& one, const std::string& sandbox = "filtered") {
  const Findings named = name_sandbox(Findings{{one}}, sandbox);
  return named.all().front().evidence.back().value == "filtered";
}

TEST(Sandbox, IsNamedWhereSomethingWasRefused) {
  for (const int refusal : {EPERM, EACCES, EROFS, EAFNOSUPPORT})
    EXPECT_TRUE(is_named(finding(Status::unknown, ReasonCode::unreadable, refusal))) << refusal;
  EXPECT_TRUE(is_named(finding(Status::no, ReasonCode::call_filtered, ENOSYS)));
  EXPECT_TRUE(is_named(finding(Status::no, ReasonCode::capability_missing)));
}

TEST(Sandbox, IsNoReasonForWhatIsThereOrIsNot) {
  EXPECT_FALSE(is_named(finding(Status::yes, ReasonCode::available, EPERM)));
  EXPECT_FALSE(is_named(finding(Status::no, ReasonCode::device_missing, ENOENT)));
  EXPECT_FALSE(is_named(finding(Status::no, ReasonCode::kernel_lacks)));
}

TEST(Sandbox, IsNotNamedWithoutOne) {
  EXPECT_FALSE(is_named(finding(Status::no, ReasonCode::refused, EPERM), ""));
}

}  // namespace
}  // namespace surveyd::test
