#include <algorithm>

#include <gtest/gtest.h>

#include <surveyd/mode.hpp>

#include "support/findings.hpp"

namespace surveyd::test {
namespace {

struct Reference {
  Status nested, root, net_admin, tun, parent;
};

Findings findings_of(const Reference& answers) {
  return Findings{{found("is_nested", answers.nested), found("can_write_cgroup_root", answers.root),
                   found("has_cap_net_admin", answers.net_admin),
                   found("tun_device_available", answers.tun, "10:200"),
                   found("cgroup_parent", answers.parent, "/a")}};
}

std::vector<std::string> unmet(const Classification& classification) {
  std::vector<std::string> names;
  for (const Unmet& one : classification.unmet_for_full) names.push_back(one.capability);
  return names;
}

struct ModeRow {
  bool nested, root, net_admin, tun;
  Mode without_parent, with_parent;
};

constexpr ModeRow mode_rows[] = {
    {false, false, false, false, Mode::degraded, Mode::nested_adaptive},
    {false, false, false, true, Mode::degraded, Mode::nested_adaptive},
    {false, false, true, false, Mode::degraded, Mode::nested_adaptive},
    {false, false, true, true, Mode::degraded, Mode::nested_adaptive},
    {false, true, false, false, Mode::nested_adaptive, Mode::nested_adaptive},
    {false, true, false, true, Mode::nested_adaptive, Mode::nested_adaptive},
    {false, true, true, false, Mode::nested_adaptive, Mode::nested_adaptive},
    {false, true, true, true, Mode::full, Mode::full},
    {true, false, false, false, Mode::degraded, Mode::nested_adaptive},
    {true, false, false, true, Mode::degraded, Mode::nested_adaptive},
    {true, false, true, false, Mode::degraded, Mode::nested_adaptive},
    {true, false, true, true, Mode::degraded, Mode::nested_adaptive},
    {true, true, false, false, Mode::nested_adaptive, Mode::nested_adaptive},
    {true, true, false, true, Mode::nested_adaptive, Mode::nested_adaptive},
    {true, true, true, false, Mode::nested_adaptive, Mode::nested_adaptive},
    {true, true, true, true, Mode::nested_adaptive, Mode::nested_adaptive}};

TEST(Classify, FollowsTheTable) {
  for (const ModeRow& row : mode_rows)
    for (const bool parent : {false, true}) {
      SCOPED_TRACE(testing::Message()
                   << row.nested << row.root << row.net_admin << row.tun << parent);
      const auto result =
          classify(findings_of({yes_or_no(row.nested), yes_or_no(row.root),
                                yes_or_no(row.net_admin), yes_or_no(row.tun), yes_or_no(parent)}));
      EXPECT_EQ(result.mode, parent ? row.with_parent : row.without_parent);
    }
}

TEST(Classify, ListsWhatFullLacksInTheOrderOfTheRule) {
  for (const ModeRow& row : mode_rows) {
    std::vector<std::string> expected;
    if (row.nested) expected.emplace_back("is_nested");
    if (!row.root) expected.emplace_back("can_write_cgroup_root");
    if (!row.net_admin) expected.emplace_back("has_cap_net_admin");
    if (!row.tun) expected.emplace_back("tun_device_available");
    const auto result =
        classify(findings_of({yes_or_no(row.nested), yes_or_no(row.root), yes_or_no(row.net_admin),
                              yes_or_no(row.tun), Status::no}));
    EXPECT_EQ(unmet(result), expected);
  }
}

// Not met: nested, and without each of the others.
Reference with_unknown_as_unmet(Reference answers) {
  if (answers.nested == Status::unknown) answers.nested = Status::yes;
  for (Status* answer : {&answers.root, &answers.net_admin, &answers.tun, &answers.parent})
    if (*answer == Status::unknown) *answer = Status::no;
  return answers;
}

TEST(Classify, NeverCountsUnknownAsMet) {
  for (const Status nested : every_status)
    for (const Status root : every_status)
      for (const Status net_admin : every_status)
        for (const Status tun : every_status)
          for (const Status parent : every_status) {
            const Reference answers{nested, root, net_admin, tun, parent};
            const auto result = classify(findings_of(answers));
            const auto expected = classify(findings_of(with_unknown_as_unmet(answers)));
            SCOPED_TRACE(testing::Message()
                         << to_string(nested) << to_string(root) << to_string(net_admin)
                         << to_string(tun) << to_string(parent));
            EXPECT_EQ(result.mode, expected.mode);
            EXPECT_EQ(unmet(result), unmet(expected));
            EXPECT_EQ(result.unmet_for_full.empty(), result.mode == Mode::full);
          }
}

TEST(Classify, GivesTheReasonOfEachFinding) {
  const auto result =
      classify(findings_of({Status::yes, Status::no, Status::no, Status::unknown, Status::no}));
  ASSERT_EQ(result.unmet_for_full.size(), 4U);
  for (const Unmet& one : result.unmet_for_full)
    EXPECT_EQ(one.reason, "reason of " + one.capability);
}

TEST(Classify, SaysWhatIsMountedBeforeWhatCameOfIt) {
  const auto result = classify(
      Findings{{found("can_write_cgroup_root", Status::no), found("cgroup_version", Status::no)}});
  const auto root =
      std::find_if(result.unmet_for_full.begin(), result.unmet_for_full.end(),
                   [](const Unmet& one) { return one.capability == "can_write_cgroup_root"; });
  ASSERT_NE(root, result.unmet_for_full.end());
  EXPECT_EQ(root->reason, "reason of cgroup_version; reason of can_write_cgroup_root");
}

TEST(Classify, IsDegradedWithoutAnyFinding) {
  const auto result = classify(Findings{});
  EXPECT_EQ(result.mode, Mode::degraded);
  EXPECT_EQ(result.unmet_for_full.size(), 4U);
}

TEST(Mode, IsSpelledAsInTheReference) {
  EXPECT_STREQ(to_string(Mode::full), "full");
  EXPECT_STREQ(to_string(Mode::nested_adaptive), "nested_adaptive");
  EXPECT_STREQ(to_string(Mode::degraded), "degraded");
}

}  // namespace
}  // namespace surveyd::test
