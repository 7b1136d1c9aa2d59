// Findings as JSON: for readers, byte by byte, and for helper processes, there and back.

#include <cerrno>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <surveyd/error.hpp>

#include "json/findings.hpp"

namespace surveyd::test {
namespace {

Finding hand_made() {
  Finding finding;
  finding.id = "tun_device_available";
  finding.status = Status::no;
  finding.basis = Basis::verified;
  finding.code = ReasonCode::device_denied;
  finding.value = "10:200";
  finding.reason = "it does \"not\" open";
  finding.evidence = {{"open(/dev/net/tun, O_RDWR)", "", os_error(EACCES, "open").code},
                      {"mode", "0600", {}}};
  finding.remedy = Remedy{"give it to the user", "chmod 666 /dev/net/tun"};
  finding.checked_at =
      std::chrono::system_clock::time_point{std::chrono::milliseconds{1700000000007}};
  finding.changed_at = finding.checked_at;
  finding.duration = std::chrono::microseconds{12};
  return finding;
}

TEST(FindingDocument, HasEveryMemberInItsPlace) {
  EXPECT_EQ(json::finding(hand_made()), R"doc({
  "id": "tun_device_available",
  "status": "no",
  "basis": "verified",
  "value": "10:200",
  "reason": "it does \"not\" open",
  "reason_code": "device_denied",
  "evidence": [
    {
      "source": "open(/dev/net/tun, O_RDWR)",
      "errno": "EACCES"
    },
    {
      "source": "mode",
      "value": "0600"
    }
  ],
  "remedy": {
    "text": "give it to the user",
    "command": "chmod 666 /dev/net/tun"
  },
  "checked_at": "2023-11-14T22:13:20.007Z",
  "changed_at": "2023-11-14T22:13:20.007Z",
  "duration_us": 12
}
)doc");
}

TEST(FindingDocument, HasNullWhereNothingHelpsAndWhereThereIsNoCommand) {
  Finding finding = hand_made();
  finding.remedy->command.clear();
  EXPECT_TRUE(nlohmann::json::parse(json::finding(finding))["remedy"]["command"].is_null());
  finding.remedy.reset();
  EXPECT_TRUE(nlohmann::json::parse(json::finding(finding))["remedy"].is_null());
}

TEST(FindingLine, ComesBackAsItWas) {
  Finding sent = hand_made();
  sent.failed = true;
  const std::string line = json::finding_line(sent);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto got = json::parse_finding(line);
  ASSERT_TRUE(got);
  EXPECT_EQ(json::finding_line(*got), line);
  EXPECT_TRUE(got->failed);
  EXPECT_EQ(got->evidence.front().error, sent.evidence.front().error);
  EXPECT_EQ(got->checked_at, sent.checked_at);
}

TEST(FindingLine, ComesBackForEveryReasonCode) {
  for (const ReasonCode code : reason_codes()) {
    Finding sent = hand_made();
    sent.code = code;
    const auto got = json::parse_finding(json::finding_line(sent));
    ASSERT_TRUE(got) << to_string(code);
    EXPECT_EQ(got->code, code);
  }
}

TEST(FindingLine, OfSomebodyElseIsNone) {
  for (const char* text : {"", "{}", "[]", "null", "x", R"({"id": 1})", "{\"id\": \"a\"",
                           R"({"id":"a","status":"maybe","basis":"claimed"})"})
    EXPECT_FALSE(json::parse_finding(text)) << text;
}

TEST(FindingLine, OfATimeThatNoClockHasIsNone) {
  for (const char* name : {"checked_at_us", "duration_us"})
    for (const char* number :
         {"9223372036854775807", "18446744073709551615", "-1", "1e300", "null"}) {
      auto line = nlohmann::json::parse(json::finding_line(hand_made()));
      line[name] = nlohmann::json::parse(number);
      EXPECT_FALSE(json::parse_finding(line.dump())) << name << " " << number;
    }
}

TEST(FindingLine, SurvivesBytesThatAreNotUtf8) {
  Finding sent = hand_made();
  sent.value = "\xff\xfe/name";
  EXPECT_TRUE(json::parse_finding(json::finding_line(sent)));
}

}  // namespace
}  // namespace surveyd::test
