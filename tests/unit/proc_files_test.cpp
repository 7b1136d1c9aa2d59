// The texts of /proc/<pid>/cgroup and /proc/<pid>/status, word lists, and what names a kernel.

#include <gtest/gtest.h>

#include "parse/kernel.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/proc_status.hpp"
#include "parse/words.hpp"

namespace surveyd::test {
namespace {

using Path = std::optional<std::string>;

struct CgroupRow {
  const char* why;
  std::string text;
  Path path;
};

const CgroupRow cgroup_rows[] = {
    {"the root", "0::/\n", "/"},
    {"a service", "0::/system.slice/surveyd.service\n", "/system.slice/surveyd.service"},
    {"no line end", "0::/a", "/a"},
    {"CRLF", "0::/a\r\n", "/a"},
    {"blanks around", "0:: \t/a \n", "/a"},
    {"a blank inside", "0::/a b\n", "/a b"},
    {"colons in the path", "0::/a:b::c:\n", "/a:b::c:"},
    {"a path that looks like a line", "0::/0::/b\n", "/0::/b"},
    {"a removed cgroup", "0::/a (deleted)\n", "/a (deleted)"},
    {"outside of the namespace", "0::/../x\n", "/../x"},
    {"bytes that are not UTF-8", "0::/\xff\xfe\n", "/\xff\xfe"},
    {"empty", "", {}},
    {"only a line end", "\n", {}},
    {"truncated", "0:", {}},
    {"truncated within v1", "12:cpu,cpuacct:/\n11:me", {}},
    {"v1 only", "12:pids:/a\n11:cpu,cpuacct:/\n1:name=systemd:/init.scope\n", {}},
    {"hybrid", "12:pids:/v1\n1:name=systemd:/v1\n0::/v2\n", "/v2"},
    {"in a middle line", "12:pids:/v1\n0::/v2\n1:name=systemd:/v1\n", "/v2"},
    {"another hierarchy that ends in 0", "10::/x\n", {}},
    {"another hierarchy before ours", "10::/x\n0::/y\n", "/y"},
    {"a named hierarchy that mentions it", "3:name=0::/x\n", {}},
    {"controllers on hierarchy 0", "0:cpu:/x\n", {}},
    {"indented", " 0::/x\n", {}}};

TEST(CgroupV2Path, IsWhatFollowsTheMark) {
  for (const auto& [why, text, path] : cgroup_rows)
    EXPECT_EQ(parse::cgroup_v2_path(text), path) << why;
}

struct TraitsRow {
  const char* path;
  bool is_root, outside, deleted;
};

constexpr TraitsRow traits_rows[] = {{"/", true, false, false},
                                     {"", false, false, false},
                                     {"/a", false, false, false},
                                     {"/..", false, true, false},
                                     {"/../x", false, true, false},
                                     {"/../../x", false, true, false},
                                     {"/..x", false, false, false},
                                     {"/a/..", false, false, false},
                                     {"/a (deleted)", false, false, true},
                                     {"/../a (deleted)", false, true, true},
                                     {"/a (deleted)/b", false, false, false},
                                     {"/a(deleted)", false, false, false}};

TEST(CgroupPathTraits, AreReadOffThePath) {
  for (const TraitsRow& row : traits_rows) {
    const auto traits = parse::cgroup_path_traits(row.path);
    EXPECT_EQ(traits.is_root, row.is_root) << row.path;
    EXPECT_EQ(traits.outside_namespace, row.outside) << row.path;
    EXPECT_EQ(traits.deleted, row.deleted) << row.path;
  }
}

constexpr std::string_view status_text =
    "Name:\tCapEff:\n"
    "Umask:\t0022\n"
    "State:\tS (sleeping)\n"
    "Uid:\t0\t0\t0\t0\n"
    "Groups:\t \n"
    "CapInh:\t0000000000000000\n"
    "CapEff:\t000001ffffffffff\r\n"
    "NoNewPrivs:\t0\n"
    "Seccomp:\t2";

TEST(StatusField, IsTheTrimmedValueOfTheWholeKey) {
  EXPECT_EQ(parse::status_field(status_text, "Name"), "CapEff:");
  EXPECT_EQ(parse::status_field(status_text, "State"), "S (sleeping)");
  EXPECT_EQ(parse::status_field(status_text, "Uid"), "0\t0\t0\t0");
  EXPECT_EQ(parse::status_field(status_text, "Groups"), "");
  EXPECT_EQ(parse::status_field(status_text, "CapEff"), "000001ffffffffff");
  EXPECT_EQ(parse::status_field(status_text, "Seccomp"), "2");
}

TEST(StatusField, IsNothingWithoutSuchALine) {
  EXPECT_EQ(parse::status_field(status_text, "Cap"), std::nullopt);
  EXPECT_EQ(parse::status_field(status_text, "capeff"), std::nullopt);
  EXPECT_EQ(parse::status_field(status_text, "CapEff:"), std::nullopt);
  EXPECT_EQ(parse::status_field(status_text, "Eff"), std::nullopt);
  EXPECT_EQ(parse::status_field("", "CapEff"), std::nullopt);
  EXPECT_EQ(parse::status_field("CapEff", "CapEff"), std::nullopt);
}

TEST(CapabilitySet, IsHexadecimal) {
  EXPECT_EQ(parse::capability_set("0000000000000000"), 0U);
  EXPECT_EQ(parse::capability_set("000001ffffffffff"), 0x1ffffffffffU);
  EXPECT_EQ(parse::capability_set("FFFFFFFFFFFFFFFF"), ~std::uint64_t{0});
  EXPECT_EQ(parse::capability_set("1000"), 0x1000U);
}

TEST(CapabilitySet, IsNothingWhereAnythingElseStands) {
  for (const char* text : {"", " ", "0x1000", "-1", "+1", "1 ", " 1", "1g", "g", "1\n",
                           "10000000000000000", "ffffffffffffffffff"})
    EXPECT_EQ(parse::capability_set(text), std::nullopt) << '"' << text << '"';
}

using List = std::vector<std::string>;

TEST(Words, AreSplitAtAnyWhiteSpace) {
  EXPECT_EQ(parse::words(""), List{});
  EXPECT_EQ(parse::words(" \n\t "), List{});
  EXPECT_EQ(parse::words("cpu"), List{"cpu"});
  EXPECT_EQ(parse::words("cpuset cpu io memory\n"), (List{"cpuset", "cpu", "io", "memory"}));
  EXPECT_EQ(parse::words("  a\t\tb\r\nc  "), (List{"a", "b", "c"}));
}

TEST(Words, AreWhole) {
  EXPECT_EQ(parse::words("cpuset cpuacct\n"), (List{"cpuset", "cpuacct"}));
}

using Lines = std::vector<std::string_view>;

TEST(Lines, EndAtALineFeedOrTheEndOfTheText) {
  EXPECT_EQ(parse::lines(""), Lines{});
  EXPECT_EQ(parse::lines("\n"), Lines{""});
  EXPECT_EQ(parse::lines("a"), Lines{"a"});
  EXPECT_EQ(parse::lines("a\n"), Lines{"a"});
  EXPECT_EQ(parse::lines("a\n\nb"), (Lines{"a", "", "b"}));
  EXPECT_EQ(parse::lines("a\r\nb\n"), (Lines{"a\r", "b"}));
}

TEST(Trimmed, LosesWhiteSpaceAtBothEndsOnly) {
  EXPECT_EQ(parse::trimmed(""), "");
  EXPECT_EQ(parse::trimmed(" \t\r\n"), "");
  EXPECT_EQ(parse::trimmed("\r\n a b \t"), "a b");
  EXPECT_EQ(parse::trimmed("a"), "a");
}

using Version = std::optional<parse::KernelVersion>;

struct ReleaseRow {
  const char* release;
  Version version;
};

const ReleaseRow release_rows[] = {{"6.1.0-18-amd64", {{6, 1}}},
                                   {"5.11.0", {{5, 11}}},
                                   {"5.10.0-28-cloud-amd64", {{5, 10}}},
                                   {"6.18", {{6, 18}}},
                                   {"6.18-rc1", {{6, 18}}},
                                   {"4.4.302+", {{4, 4}}},
                                   {"5.15.167.4-microsoft-standard-WSL2", {{5, 15}}},
                                   {"10.0.1", {{10, 0}}},
                                   {"", {}},
                                   {"6", {}},
                                   {"6.", {}},
                                   {"6-1", {}},
                                   {".1", {}},
                                   {"6.x", {}},
                                   {"v6.1", {}},
                                   {" 6.1", {}},
                                   {"99999999999.1", {}},
                                   {"6.99999999999", {}}};

TEST(KernelVersion, IsTheFirstTwoNumbers) {
  for (const auto& [release, version] : release_rows)
    EXPECT_EQ(parse::kernel_version(release), version) << '"' << release << '"';
}

TEST(KernelVersion, IsComparedByNumberAndNotByText) {
  EXPECT_LT((parse::KernelVersion{5, 9}), (parse::KernelVersion{5, 11}));
  EXPECT_LT((parse::KernelVersion{5, 11}), (parse::KernelVersion{6, 1}));
  EXPECT_LT((parse::KernelVersion{9, 9}), (parse::KernelVersion{10, 0}));
}

}  // namespace
}  // namespace surveyd::test
