#include "probes/inquiry.hpp"

#include <gtest/gtest.h>

namespace surveyd::test {
namespace {

using probes::Inquiry;

TEST(Inquiry, IsAYesWithoutObjections) {
  Inquiry inquiry;
  inquiry.saw({"file", "value", {}});
  const Finding finding = inquiry.conclude("it holds");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.code, ReasonCode::available);
  EXPECT_EQ(finding.reason, "it holds");
  EXPECT_EQ(finding.evidence.size(), 1U);
  EXPECT_FALSE(finding.remedy);
}

TEST(Inquiry, IsDecidedByAClearNoWhateverElseIsUnknown) {
  Inquiry inquiry;
  inquiry.unknown(ReasonCode::unreadable, "who knows", Remedy{"Look.", "look"});
  inquiry.no(ReasonCode::not_root, "no root", Remedy{"Be root.", "su"});
  inquiry.no(ReasonCode::read_only, "no writing", Remedy{"Write.", "rw"});
  const Finding finding = inquiry.conclude("it holds");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.code, ReasonCode::not_root);
  EXPECT_EQ(finding.reason, "no root; no writing");
  EXPECT_EQ(finding.remedy.value().text, "Be root. Write.");
  EXPECT_EQ(finding.remedy.value().command, "su && rw");
}

TEST(Inquiry, IsUnknownWithoutAClearNo) {
  Inquiry inquiry;
  inquiry.unknown(ReasonCode::unreadable, "who knows");
  const Finding finding = inquiry.conclude("it holds");
  EXPECT_EQ(finding.status, Status::unknown);
  EXPECT_EQ(finding.code, ReasonCode::unreadable);
  EXPECT_FALSE(finding.remedy);
}

TEST(Inquiry, HasNoRemedyWhereOneObjectionHasNone) {
  Inquiry inquiry;
  inquiry.no(ReasonCode::not_root, "no root", Remedy{"Be root.", "su"});
  inquiry.no(ReasonCode::kernel_lacks, "no kernel");
  EXPECT_FALSE(inquiry.conclude("it holds").remedy);
}

TEST(Inquiry, HasNoCommandThatIsOnlyHalfOfTheRemedy) {
  Inquiry inquiry;
  inquiry.no(ReasonCode::not_root, "no root", Remedy{"Be root.", "su"});
  inquiry.no(ReasonCode::kernel_too_old, "old", Remedy{"Boot.", {}});
  const Finding finding = inquiry.conclude("it holds");
  EXPECT_EQ(finding.remedy.value().text, "Be root. Boot.");
  EXPECT_EQ(finding.remedy.value().command, "");
}

}  // namespace
}  // namespace surveyd::test
