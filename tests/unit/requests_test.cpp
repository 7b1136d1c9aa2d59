// The JSON bodies that requests may carry.

#include "json/requests.hpp"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "support/corpora.hpp"

namespace surveyd::test {
namespace {

using json::ensure_request;
using json::no_request;

std::string refusal(std::string_view body) {
  const auto request = ensure_request(body);
  return request ? "accepted" : request.error().detail;
}

bool mentions(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

TEST(EnsureRequest, NeedsNoBody) {
  for (const char* body : {"", " ", "\r\n", " \t\n ", "{}", " { } \n"}) {
    const auto request = ensure_request(body);
    ASSERT_TRUE(request) << '"' << body << '"';
    EXPECT_EQ(request->placement, Placement::automatic);
  }
}

TEST(EnsureRequest, TakesEveryPlacement) {
  EXPECT_EQ(ensure_request(R"({"placement": "auto"})")->placement, Placement::automatic);
  EXPECT_EQ(ensure_request(R"({"placement":"host"})")->placement, Placement::host);
  EXPECT_EQ(ensure_request("{\"placement\"\n:\t\"scope\"}")->placement, Placement::scope);
  EXPECT_EQ(ensure_request(R"({"pl\u0061cement": "host"})")->placement, Placement::host);
}

TEST(EnsureRequest, TakesNoOtherPlacement) {
  for (const char* value : {R"("")", R"("Host")", R"("host ")", R"("hosts")", "null", "true", "0",
                            R"(["host"])", R"({"host": 1})", R"("automatic")"})
    EXPECT_TRUE(mentions(refusal(std::string{R"({"placement": )"} + value + "}"), "placement"))
        << value;
}

TEST(EnsureRequest, MovesOnlyTheDaemonItselfUnlessAskedOtherwise) {
  EXPECT_EQ(ensure_request("")->evacuate, Evacuate::self);
  EXPECT_EQ(ensure_request(R"({"evacuate": "self", "placement": "scope"})")->evacuate,
            Evacuate::self);
  EXPECT_EQ(ensure_request(R"({"evacuate": "all"})")->evacuate, Evacuate::all);
  for (const char* value : {R"("none")", R"("")", "null", "true"})
    EXPECT_TRUE(mentions(refusal(std::string{R"({"evacuate": )"} + value + "}"), "evacuate"));
}

TEST(EnsureRequest, NamesAMemberThatItDoesNotKnow) {
  EXPECT_TRUE(mentions(refusal(R"({"force": true})"), R"("force")"));
  EXPECT_TRUE(mentions(refusal(R"({"placement": "host", "Placement": "host"})"), R"("Placement")"));
  EXPECT_TRUE(mentions(refusal(R"({"": 1})"), R"("")"));
  EXPECT_TRUE(mentions(refusal(R"({"a\nb": 1})"), R"("a\nb")"));
}

TEST(EnsureRequest, TakesNoMemberTwice) {
  EXPECT_TRUE(mentions(refusal(R"({"placement": "host", "placement": "host"})"), "twice"));
  EXPECT_TRUE(mentions(refusal(R"({"placement": "host", "pl\u0061cement": "auto"})"), "twice"));
}

TEST(EnsureRequest, IsAnObject) {
  for (const char* body : {"[]", R"(["placement"])", "null", "true", "1", R"("host")", "[{}]"})
    EXPECT_TRUE(mentions(refusal(body), "object")) << body;
}

TEST(EnsureRequest, IsJson) {
  for (const char* body :
       {"{", "}", "{]", "placement=host", "{placement: \"host\"}", "{'placement': 'host'}",
        R"({"placement": "host",})", R"({"placement": "host"} x)", R"({} {})", "// {}", "{}\xff",
        "{\"a\xff\": 1}", "\xff\xfe{\0}", "NaN"})
    EXPECT_TRUE(mentions(refusal(body), "not JSON")) << body;
}

// nlohmann's lexer takes NUL for the end of the text.
TEST(EnsureRequest, DoesNotEndAtANul) {
  EXPECT_TRUE(mentions(refusal(std::string_view{"{}\0", 3}), "not JSON"));
  EXPECT_TRUE(mentions(refusal(std::string_view{"{}\0{\"x\": 1}", 11}), "not JSON"));
}

// nlohmann's parser has an exception of its own for them.
TEST(EnsureRequest, RefusesNumbersThatNoDoubleHolds) {
  for (const char* body : {R"({"placement": 1e999})", R"({"placement": -1e999})", "[1e999]"})
    EXPECT_NE(refusal(body), "accepted") << body;
}

std::string nested(std::size_t levels) {
  return R"({"placement": )" + std::string(levels, '[') + std::string(levels, ']') + "}";
}

TEST(EnsureRequest, IsNestedAtMost16Deep) {
  EXPECT_TRUE(mentions(refusal(nested(15)), "placement"));
  EXPECT_TRUE(mentions(refusal(nested(17)), "nested"));
  EXPECT_TRUE(mentions(refusal(nested(8000)), "nested"));
  EXPECT_TRUE(mentions(refusal(std::string(16 * 1024, '[')), "nested"));
}

TEST(NoRequest, TakesNothingOrAnEmptyObject) {
  for (const char* body : {"", " \n", "{}", "{ }\n"}) EXPECT_TRUE(no_request(body));
  EXPECT_FALSE(no_request("[]"));
  EXPECT_FALSE(no_request("{"));
  const auto verify = no_request(R"({"verify": true})");
  ASSERT_FALSE(verify);
  EXPECT_TRUE(mentions(verify.error().detail, R"("verify")"));
}

TEST(SurveyRequest, VerifiesWhenAskedTo) {
  using json::survey_request;
  for (const char* body : {"", " \n", "{}", R"({"verify": false})"}) {
    const auto request = survey_request(body);
    ASSERT_TRUE(request) << body;
    EXPECT_FALSE(request->verify) << body;
  }
  EXPECT_TRUE(survey_request(R"({"verify": true})")->verify);
  for (const char* body : {R"({"verify": 1})", R"({"verify": "true"})", R"({"verify": null})"}) {
    const auto request = survey_request(body);
    ASSERT_FALSE(request) << body;
    EXPECT_TRUE(mentions(request.error().detail, "true, false")) << body;
  }
  const auto unknown = survey_request(R"({"verify": true, "quickly": 1})");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(mentions(unknown.error().detail, R"("quickly")"));
}

TEST(EnsureRequest, AnswersToEveryBodyOfTheCorpus) {
  if (corpora().empty()) GTEST_SKIP() << no_corpora;
  int bodies = 0;
  for (const auto& entry : std::filesystem::directory_iterator{corpora() / "json-parsing"}) {
    std::ifstream file{entry.path(), std::ios::binary};
    const std::string body{std::istreambuf_iterator<char>{file}, {}};
    const std::string name = entry.path().filename();
    std::string answer;
    EXPECT_NO_THROW(answer = refusal(body)) << name;
    // Names begin with what a parser has to do: y accept, n refuse, i either.
    const bool blank = body.find_first_not_of(" \t\r\n") == std::string::npos;
    if (name.starts_with("n_") && !blank) {
      EXPECT_NE(answer, "accepted") << name;
    }
    if (name.starts_with("y_")) {
      EXPECT_FALSE(mentions(answer, "not JSON")) << name;
    }
    ++bodies;
  }
  EXPECT_GT(bodies, 300);
}

}  // namespace
}  // namespace surveyd::test
