#include <gtest/gtest.h>

#include <surveyd/mode.hpp>

#include "support/findings.hpp"

namespace surveyd::test {
namespace {

constexpr Status no = Status::no;
constexpr Status yes = Status::yes;
constexpr Status unknown = Status::unknown;

/// The real host of section "assessed mode", every condition met. Tests take some away.
struct Evidence {
  Status container = no;
  Status host = yes;
  Status scope = no;
  Status net_admin = yes;
  Status tun = yes;
  const char* tun_device = "10:200";
  const char* scope_path = "";
  Status nested = no;
  Status root = yes;
  Status parent = no;
  const char* parent_path = "";
};

Findings findings_of(const Evidence& one) {
  return Findings{
      {found("is_nested", one.nested), found("cgroup_parent", one.parent, one.parent_path),
       found("can_write_cgroup_root", one.root), found("has_cap_net_admin", one.net_admin),
       found("tun_device_available", one.tun, one.tun_device), found("container", one.container),
       found("cgroup_host_placement", one.host),
       found("cgroup_scope_placement", one.scope, one.scope_path)}};
}

Mode assessed(const Evidence& one) {
  return assess(findings_of(one), Mode::degraded).mode;
}

TEST(Assess, IsFullOnlyWhenEveryConditionHolds) {
  for (const Status container : every_status)
    for (const Status host : every_status)
      for (const Status net_admin : every_status)
        for (const Status tun : every_status) {
          SCOPED_TRACE(std::string{to_string(container)} + to_string(host) + to_string(net_admin) +
                       to_string(tun));
          const bool all = container == no && host == yes && net_admin == yes && tun == yes;
          const Mode mode =
              assessed({.container = container, .host = host, .net_admin = net_admin, .tun = tun});
          EXPECT_EQ(mode == Mode::full, all);
        }
}

TEST(Assess, IsAdaptiveWhereSomePlaceAcceptsContainers) {
  for (const Status host : every_status)
    for (const Status scope : every_status) {
      const bool place = host == yes || scope == yes;
      EXPECT_EQ(assessed({.container = yes, .host = host, .scope = scope}),
                place ? Mode::nested_adaptive : Mode::degraded);
    }
}

TEST(Assess, DoesNotTakeAnotherNodeForTheTunDevice) {
  for (const char* device : {"", "10:229", "1:3", "10:20", "10:2000"})
    EXPECT_EQ(assessed({.tun_device = device}), Mode::nested_adaptive) << device;
}

TEST(Assess, DoesNotAskTheFieldsOfTheReference) {
  EXPECT_EQ(assessed({.nested = yes, .root = no, .parent = yes}), Mode::full);
  EXPECT_EQ(assessed({.host = no, .root = yes, .parent = yes}), Mode::degraded);
}

TEST(Assess, IsDegradedWithoutAnyFinding) {
  const Assessment nothing = assess(Findings{}, Mode::degraded);
  EXPECT_EQ(nothing.mode, Mode::degraded);
  EXPECT_TRUE(nothing.disagreements.empty());
}

TEST(Assess, HasNothingToExplainWhenTheModesAgree) {
  const Evidence odd{.container = no, .nested = yes};  // the field differs, the mode does not
  EXPECT_TRUE(assess(findings_of(odd), Mode::full).disagreements.empty());
}

const Disagreement* about(const Assessment& assessment, std::string_view field) {
  for (const Disagreement& one : assessment.disagreements)
    if (one.field == field) return &one;
  return nullptr;
}

void expect_field(const Assessment& assessment, std::string_view field, const FieldValue& reference,
                  const FieldValue& holds, const std::string& why) {
  const Disagreement* one = about(assessment, field);
  ASSERT_NE(one, nullptr) << field;
  EXPECT_EQ(one->reference, reference) << field;
  EXPECT_EQ(one->assessed, holds) << field;
  EXPECT_EQ(one->why, why) << field;
}

TEST(Disagreements, BeginWithTheMode) {
  const Assessment result = assess(findings_of({.nested = yes}), Mode::nested_adaptive);
  ASSERT_FALSE(result.disagreements.empty());
  const Disagreement& first = result.disagreements.front();
  EXPECT_EQ(first.field, "effective_mode");
  EXPECT_EQ(first.reference, FieldValue{std::string{"nested_adaptive"}});
  EXPECT_EQ(first.assessed, FieldValue{std::string{"full"}});
}

TEST(Disagreements, ExplainAServiceOfSystemdOnBareMetal) {
  const Assessment result = assess(findings_of({.scope = yes,
                                                .scope_path = "/system.slice/surveyd.service",
                                                .nested = yes,
                                                .parent = yes,
                                                .parent_path = "/system.slice/surveyd.service"}),
                                   Mode::nested_adaptive);
  EXPECT_EQ(result.disagreements.size(), 2U);
  expect_field(result, "is_nested", true, false, "reason of container");
}

TEST(Disagreements, ExplainAContainerThatLooksLikeTheHost) {
  const Assessment result = assess(
      findings_of({.container = yes, .host = no, .scope = yes, .scope_path = "/"}), Mode::full);
  EXPECT_EQ(result.disagreements.size(), 4U);
  expect_field(result, "is_nested", false, true, "reason of container");
  expect_field(result, "can_write_cgroup_root", true, false, "reason of cgroup_host_placement");
  expect_field(result, "cgroup_parent", {}, std::string{"/"}, "reason of cgroup_scope_placement");
}

TEST(Disagreements, TellOfATunNodeThatIsNone) {
  const Assessment result = assess(findings_of({.tun_device = ""}), Mode::full);
  EXPECT_EQ(result.disagreements.size(), 2U);
  expect_field(result, "tun_device_available", true, false, "reason of tun_device_available");
}

TEST(Disagreements, ShowAParentThatAcceptsNothingAsNull) {
  const Assessment result = assess(
      findings_of({.container = yes, .host = no, .root = no, .parent = yes, .parent_path = "/a"}),
      Mode::nested_adaptive);
  EXPECT_EQ(result.mode, Mode::degraded);
  expect_field(result, "cgroup_parent", std::string{"/a"}, {}, "reason of cgroup_scope_placement");
}

TEST(Disagreements, CountAnUnknownContainerAsContained) {
  const Assessment result = assess(findings_of({.container = unknown}), Mode::full);
  expect_field(result, "is_nested", false, true, "reason of container");
}

TEST(Disagreements, NameAFieldWheneverTheModesDiffer) {
  const Evidence masked{.nested = unknown, .parent = unknown};  // no /proc/self/cgroup
  const Assessment result = assess(findings_of(masked), Mode::nested_adaptive);
  EXPECT_EQ(result.mode, Mode::full);
  EXPECT_GT(result.disagreements.size(), 1U);
}

}  // namespace
}  // namespace surveyd::test
