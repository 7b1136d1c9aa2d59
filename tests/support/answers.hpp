#pragma once

#include <string>

#include <gtest/gtest.h>

#include <surveyd/finding.hpp>

namespace surveyd::test {

/// What one finding has to be.
struct Answer {
  Status status;
  ReasonCode code;
  std::string mentions{};  ///< part of the reason
  std::string remedy{};    ///< part of the remedy's text; empty: there is none
  std::string command{};   ///< part of its command; empty: it has none
};

inline void expect_answer(const Finding& finding, const Answer& answer) {
  SCOPED_TRACE(finding.id + ": " + finding.reason);
  EXPECT_STREQ(to_string(finding.status), to_string(answer.status));
  EXPECT_STREQ(to_string(finding.code), to_string(answer.code));
  EXPECT_NE(finding.reason.find(answer.mentions), std::string::npos);
  EXPECT_FALSE(finding.evidence.empty());
  EXPECT_EQ(finding.remedy.has_value(), !answer.remedy.empty() || !answer.command.empty());
  const Remedy remedy = finding.remedy.value_or(Remedy{});
  EXPECT_NE(remedy.text.find(answer.remedy), std::string::npos) << remedy.text;
  EXPECT_NE(remedy.command.find(answer.command), std::string::npos) << remedy.command;
  EXPECT_EQ(remedy.command.empty(), answer.command.empty()) << remedy.command;
}

}  // namespace surveyd::test
