// What the documentation lists is what there is.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <surveyd/probe.hpp>

namespace surveyd::test {
namespace {

std::string file(const std::string& name) {
  std::ifstream stream{std::string{SURVEYD_PROJECT} + "/" + name};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

std::vector<std::string> matches(const std::string& text, const std::string& expression) {
  const std::regex pattern{expression, std::regex::multiline};
  std::vector<std::string> found;
  for (std::sregex_iterator match{text.begin(), text.end(), pattern}, end; match != end; ++match)
    found.push_back((*match)[1]);
  return found;
}

TEST(ReasonsPage, HasAParagraphForEachCodeInOrder) {
  std::vector<std::string> codes;
  for (const ReasonCode code : reason_codes()) codes.emplace_back(to_string(code));
  EXPECT_EQ(matches(file("docs/reasons.md"), R"(^### (\w+)\n\n\S)"), codes);
}

// The table of findings, without the one of their members before it.
std::string table_of_findings() {
  const std::string page = file("docs/findings.md");
  return page.substr(std::min(page.find("| id | yes means"), page.size()));
}

TEST(FindingsPage, HasALineForEachProbeInOrder) {
  std::vector<std::string> ids;
  for (const Probe& probe : catalogue()) ids.push_back(probe.id);
  EXPECT_EQ(matches(table_of_findings(), R"(^\| `([^`]+)` \|)"), ids);
}

TEST(FindingsPage, SaysWhichFindingsCanBeVerified) {
  std::vector<std::string> ids;
  for (const Probe& probe : catalogue())
    if (probe.verify != nullptr) ids.push_back(probe.id);
  EXPECT_EQ(matches(table_of_findings(), R"(^\| `([^`]+)` \|[^|\n]+\|[^|\n]+\| *[^| \n])"), ids);
}

// Every code is expected by name somewhere: one that nothing can produce would never be.
TEST(ReasonCodes, AreEachExpectedByATest) {
  std::string tests;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator{std::string{SURVEYD_PROJECT} + "/tests"}) {
    const auto extension = entry.path().extension();
    if (extension == ".cpp" || extension == ".py")
      tests += file(std::filesystem::relative(entry.path(), SURVEYD_PROJECT));
  }
  for (const ReasonCode code : reason_codes())
    EXPECT_TRUE(std::regex_search(tests, std::regex{"\\b" + std::string{to_string(code)} + "\\b"}))
        << to_string(code);
}

}  // namespace
}  // namespace surveyd::test
