#include <gtest/gtest.h>

#include <surveyd/survey.hpp>

#include "support/findings.hpp"

namespace surveyd::test {
namespace {

Findings all_of(Status status) {
  std::vector<Finding> findings;
  for (const char* id : {"is_root", "is_nested", "can_write_cgroup_root", "has_cap_net_admin",
                         "overlayfs_rootfs_available", "pasta_available", "container",
                         "cgroup_version", "cgroup_host_placement"})
    findings.push_back(found(id, status));
  findings.push_back(found("cgroup_parent", status, "/a"));
  findings.push_back(found("tun_device_available", status, "10:200"));
  findings.push_back(found("fuse_overlayfs_rootfs_available", status, "/bin/fusermount3"));
  findings.push_back(found("cgroup_scope_placement", status, "/a"));
  return Findings{std::move(findings)};
}

TEST(Conclude, SetsEveryFieldFromItsYes) {
  const Capabilities fields = conclude(all_of(Status::yes), {}).capabilities;
  EXPECT_TRUE(fields.is_root);
  EXPECT_TRUE(fields.is_nested);
  EXPECT_EQ(fields.cgroup_parent, "/a");
  EXPECT_TRUE(fields.can_write_cgroup_root);
  EXPECT_TRUE(fields.has_cap_net_admin);
  EXPECT_TRUE(fields.tun_device_available);
  EXPECT_TRUE(fields.overlayfs_rootfs_available);
  EXPECT_TRUE(fields.fuse_overlayfs_rootfs_available);
  EXPECT_EQ(fields.effective_mode, Mode::nested_adaptive);
}

TEST(Conclude, TakesNothingFromNoAndUnknown) {
  for (const Status status : {Status::no, Status::unknown}) {
    const Capabilities fields = conclude(all_of(status), {}).capabilities;
    EXPECT_FALSE(fields.is_root);
    EXPECT_FALSE(fields.is_nested);
    EXPECT_EQ(fields.cgroup_parent, std::nullopt);
    EXPECT_FALSE(fields.can_write_cgroup_root);
    EXPECT_FALSE(fields.has_cap_net_admin);
    EXPECT_FALSE(fields.tun_device_available);
    EXPECT_FALSE(fields.overlayfs_rootfs_available);
    EXPECT_FALSE(fields.fuse_overlayfs_rootfs_available);
    EXPECT_EQ(fields.effective_mode, Mode::degraded);
  }
}

TEST(Conclude, KeepsTheFieldOfTheReferenceButDecidesByTheEvidence) {
  const Survey survey = conclude(Findings{{found("has_cap_net_admin", Status::yes),
                                           found("tun_device_available", Status::yes, "1:3")}},
                                 {});
  EXPECT_TRUE(survey.capabilities.tun_device_available);
  EXPECT_STREQ(survey.overlay.network, "host");
}

TEST(Conclude, DrawsEveryOtherConclusion) {
  const Survey survey = conclude(all_of(Status::yes), {});
  EXPECT_EQ(survey.unmet_for_full.size(), 1U);
  EXPECT_EQ(survey.unmet_for_full.front().capability, "is_nested");
  EXPECT_EQ(survey.assessment.mode, Mode::nested_adaptive);
  EXPECT_STREQ(survey.overlay.network, "overlay");
  EXPECT_STREQ(survey.rootfs.driver, "overlayfs");
  EXPECT_EQ(survey.rootfs.fusermount, "/bin/fusermount3");
}

TEST(Conclude, PassesTheFindingsAndTheRunOn) {
  SurveyRun run;
  run.generation = 7;
  run.interval = std::chrono::seconds{30};
  run.stale = true;
  const Survey survey = conclude(all_of(Status::no), run);
  EXPECT_EQ(survey.findings.all().size(), 13U);
  EXPECT_EQ(survey.run.generation, 7U);
  EXPECT_EQ(survey.run.interval.count(), 30);
  EXPECT_TRUE(survey.run.stale);
}

TEST(Findings, FindByWholeId) {
  const Findings findings{{found("is_nested", Status::yes, "value")}};
  ASSERT_NE(findings.find("is_nested"), nullptr);
  EXPECT_EQ(findings.find("is_nest"), nullptr);
  EXPECT_EQ(findings.find("is_nested_"), nullptr);
  EXPECT_EQ(findings.find(""), nullptr);
  EXPECT_TRUE(findings.is_yes("is_nested"));
  EXPECT_EQ(findings.value("is_nested"), "value");
}

TEST(Findings, AnswerUnknownForWhatWasNotProbed) {
  const Findings none;
  EXPECT_EQ(none.status("is_root"), Status::unknown);
  EXPECT_FALSE(none.is_yes("is_root"));
  EXPECT_EQ(none.value("is_root"), "");
  EXPECT_EQ(none.reason("is_root"), "it was not probed");
}

TEST(Status, IsSpelledAsInTheDocuments) {
  EXPECT_STREQ(to_string(Status::yes), "yes");
  EXPECT_STREQ(to_string(Status::no), "no");
  EXPECT_STREQ(to_string(Status::unknown), "unknown");
}

}  // namespace
}  // namespace surveyd::test
