#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <surveyd/container_id.hpp>

#include "support/corpora.hpp"

namespace surveyd::test {
namespace {

constexpr std::string_view alphanumeric =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool is_id(std::string_view text) {
  return ContainerId::parse(text).has_value();
}

std::string byte(int value) {
  return {static_cast<char>(value)};
}

TEST(ContainerId, BeginsWithALetterOrDigitAndNothingElse) {
  for (int value = 0; value < 256; ++value) {
    const bool allowed = alphanumeric.find(static_cast<char>(value)) != std::string_view::npos;
    EXPECT_EQ(is_id(byte(value)), allowed) << value;
    EXPECT_EQ(is_id(byte(value) + "a"), allowed) << value;
  }
}

TEST(ContainerId, GoesOnWithThoseAndThreeMarks) {
  const std::string allowed_ones = std::string{alphanumeric} + "_.-";
  for (int value = 0; value < 256; ++value) {
    const bool allowed = allowed_ones.find(static_cast<char>(value)) != std::string::npos;
    EXPECT_EQ(is_id("x" + byte(value)), allowed) << value;
    EXPECT_EQ(is_id("x" + byte(value) + "y"), allowed) << value;
  }
}

TEST(ContainerId, HasOneTo128Bytes) {
  EXPECT_FALSE(is_id(""));
  EXPECT_TRUE(is_id("x"));
  EXPECT_TRUE(is_id(std::string(128, 'x')));
  EXPECT_FALSE(is_id(std::string(129, 'x')));
  EXPECT_FALSE(is_id(std::string(1 << 20, 'x')));
}

TEST(ContainerId, IsNoFileOfTheKernel) {
  for (const std::string controller : {"cgroup", "cpu", "cpuset", "dmem", "hugetlb", "io", "irq",
                                       "memory", "misc", "perf_event", "pids", "rdma"}) {
    EXPECT_FALSE(is_id(controller + ".")) << controller;
    EXPECT_FALSE(is_id(controller + ".max")) << controller;
    EXPECT_FALSE(is_id(controller + ".a.b")) << controller;
    EXPECT_TRUE(is_id(controller)) << controller;
    EXPECT_TRUE(is_id(controller + "-max")) << controller;
    EXPECT_TRUE(is_id("a" + controller + ".max")) << controller;
    EXPECT_TRUE(is_id("a." + controller + ".max")) << controller;
  }
}

TEST(ContainerId, ComparesTheKernelsNamesWithCase) {
  EXPECT_TRUE(is_id("Cgroup.procs"));
  EXPECT_TRUE(is_id("CPU.max"));
}

TEST(ContainerId, MayLookLikeDotsOnlyInside) {
  EXPECT_FALSE(is_id("."));
  EXPECT_FALSE(is_id(".."));
  EXPECT_FALSE(is_id("..a"));
  EXPECT_TRUE(is_id("a.."));
  EXPECT_TRUE(is_id("a..b"));
}

TEST(ContainerId, KeepsItsText) {
  EXPECT_EQ(ContainerId::parse("A_b.c-9")->str(), "A_b.c-9");
}

TEST(ContainerId, ExplainsTheGrammarToWhoeverGotItWrong) {
  const auto id = ContainerId::parse("../a");
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, Fault::invalid_container_id);
  EXPECT_NE(id.error().detail.find("1 to 128"), std::string::npos);
}

TEST(CgroupName, HasTheSameGrammar) {
  EXPECT_TRUE(is_cgroup_name("zlayer"));
  EXPECT_TRUE(is_cgroup_name("my.slice"));
  EXPECT_FALSE(is_cgroup_name(""));
  EXPECT_FALSE(is_cgroup_name("a/b"));
  EXPECT_FALSE(is_cgroup_name("cgroup.procs"));
  EXPECT_FALSE(is_cgroup_name(std::string(129, 'x')));
}

std::string from_hexadecimal(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

// Those with a query or a fragment are about targets, and "either" leaves it to us.
TEST(ContainerId, AgreesWithTheCorpus) {
  if (corpora().empty()) GTEST_SKIP() << no_corpora;
  std::ifstream file{corpora() / "container-ids.jsonl"};
  int compared = 0;
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    const std::string expected = row["expect"];
    if (expected == "either") continue;
    const std::string tail =
        row.contains("tail") ? row["tail"].get<std::string>() : from_hexadecimal(row["tail_hex"]);
    EXPECT_EQ(is_id(tail), expected == "valid") << line;
    ++compared;
  }
  EXPECT_GE(compared, 80);
}

}  // namespace
}  // namespace surveyd::test
