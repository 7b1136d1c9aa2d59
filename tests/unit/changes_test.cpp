// What is another answer than before, since when, and the last 256 of them.

#include <gtest/gtest.h>

#include <surveyd/survey.hpp>

#include "support/findings.hpp"

namespace surveyd::test {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

system_clock::time_point at(int time) {
  return system_clock::time_point{seconds{time}};
}

Finding dated(Status status, ReasonCode code, int time) {
  Finding finding = found("tun_device_available", status);
  finding.code = code;
  finding.checked_at = finding.changed_at = at(time);
  return finding;
}

// The survey number `generation`, taken at that second.
Survey survey_of(std::uint64_t generation, Status status, ReasonCode code = ReasonCode::available) {
  SurveyRun run;
  run.generation = generation;
  run.surveyed_at = at(static_cast<int>(generation));
  return conclude(Findings{{dated(status, code, static_cast<int>(generation))}}, run);
}

const Finding& tun_of(const Survey& survey) {
  return *survey.findings.find("tun_device_available");
}

TEST(Changes, AreNoneInTheFirstSurvey) {
  const Survey first = survey_of(1, Status::yes);
  EXPECT_TRUE(first.changes->empty());
  EXPECT_TRUE(first.new_changes().empty());
}

TEST(Changes, AreNoneWhileTheAnswerStays) {
  const Survey first = survey_of(1, Status::yes);
  Survey second = survey_of(2, Status::yes);
  compare_with(first, second);
  EXPECT_TRUE(second.changes->empty());
  EXPECT_EQ(tun_of(second).changed_at, at(1));
  EXPECT_EQ(tun_of(second).checked_at, at(2));
}

TEST(Changes, SayWhatWasAndWhatIs) {
  const Survey first = survey_of(1, Status::yes);
  Survey second = survey_of(2, Status::no, ReasonCode::device_missing);
  compare_with(first, second);
  ASSERT_EQ(second.new_changes().size(), 1U);
  const Change& change = second.new_changes().front();
  EXPECT_EQ(change.generation, 2U);
  EXPECT_EQ(change.at, at(2));
  EXPECT_EQ(change.what, "tun_device_available");
  EXPECT_EQ(change.from, "yes");
  EXPECT_EQ(change.to, "no");
  EXPECT_EQ(change.from_code, "available");
  EXPECT_EQ(change.to_code, "device_missing");
  EXPECT_EQ(change.reason, "reason of tun_device_available");
  EXPECT_EQ(tun_of(second).changed_at, at(2));
}

TEST(Changes, CountAnotherReasonForTheSameStatus) {
  const Survey first = survey_of(1, Status::no, ReasonCode::device_missing);
  Survey second = survey_of(2, Status::no, ReasonCode::device_denied);
  compare_with(first, second);
  ASSERT_EQ(second.new_changes().size(), 1U);
  EXPECT_EQ(second.new_changes().front().from, second.new_changes().front().to);
}

TEST(Changes, DoNotCountThatAnAnswerHasBeenVerified) {
  const Survey first = survey_of(1, Status::yes);
  Survey second = survey_of(2, Status::yes);
  second.findings.all().front().basis = Basis::verified;
  compare_with(first, second);
  EXPECT_TRUE(second.new_changes().empty());
  EXPECT_EQ(tun_of(second).changed_at, at(1));
}

TEST(Changes, OfEarlierSurveysStay) {
  const Survey first = survey_of(1, Status::yes);
  Survey second = survey_of(2, Status::no, ReasonCode::device_missing);
  compare_with(first, second);
  Survey third = survey_of(3, Status::no, ReasonCode::device_missing);
  compare_with(second, third);
  EXPECT_EQ(third.changes->size(), 1U);
  EXPECT_TRUE(third.new_changes().empty());
  EXPECT_EQ(tun_of(third).changed_at, at(2));
}

TEST(Changes, KeepTheLast256) {
  Survey before = survey_of(1, Status::yes);
  for (std::uint64_t generation = 2; generation <= 301; ++generation) {
    Survey after = generation % 2 == 0
                       ? survey_of(generation, Status::unknown, ReasonCode::timed_out)
                       : survey_of(generation, Status::yes);
    compare_with(before, after);
    before = std::move(after);
  }
  ASSERT_EQ(before.changes->size(), most_changes_kept);
  EXPECT_EQ(before.changes->front().generation, 301U - most_changes_kept + 1);
  EXPECT_EQ(before.changes->back().generation, 301U);
}

TEST(Changes, NameTheModesToo) {
  Findings good{{found("is_nested", Status::no), found("can_write_cgroup_root", Status::yes),
                 found("has_cap_net_admin", Status::yes),
                 found("tun_device_available", Status::yes)}};
  Findings bad = good;
  bad.all().back().status = Status::no;
  const Survey first = conclude(good, {});
  SurveyRun run;
  run.generation = 2;
  Survey second = conclude(bad, run);
  compare_with(first, second);
  ASSERT_EQ(second.new_changes().size(), 2U);
  const Change& mode = second.new_changes().back();
  EXPECT_EQ(mode.what, "effective_mode");
  EXPECT_EQ(mode.from, "full");
  EXPECT_EQ(mode.to, "nested_adaptive");
  EXPECT_EQ(mode.to_code, "");
  EXPECT_EQ(mode.reason, "tun_device_available: reason of tun_device_available");
}

TEST(Verified, AnswersDecideButLeaveTheFieldsOfTheReference) {
  const Findings claims{{found("has_cap_net_admin", Status::yes),
                         found("tun_device_available", Status::yes, "10:200"),
                         found("overlayfs_rootfs_available", Status::no)}};
  Findings verified = claims;
  for (Finding& finding : verified.all()) finding.basis = Basis::verified;
  verified.all()[1].status = Status::no;
  verified.all()[2].status = Status::yes;
  const Survey survey = conclude(claims, verified, {});
  EXPECT_TRUE(survey.capabilities.tun_device_available);
  EXPECT_FALSE(survey.capabilities.overlayfs_rootfs_available);
  EXPECT_STREQ(survey.overlay.network, "host");
  EXPECT_STREQ(survey.rootfs.driver, "overlayfs");
  ASSERT_EQ(survey.assessment.disagreements.size(), 2U);
  EXPECT_EQ(survey.assessment.disagreements[0].field, "tun_device_available");
  EXPECT_EQ(survey.assessment.disagreements[1].field, "overlayfs_rootfs_available");
}

TEST(Verified, AnswersThatAgreeAreNoDisagreement) {
  Findings verified{{found("tun_device_available", Status::yes, "10:200")}};
  verified.all().front().basis = Basis::verified;
  EXPECT_TRUE(conclude(verified, verified, {}).assessment.disagreements.empty());
}

}  // namespace
}  // namespace surveyd::test
