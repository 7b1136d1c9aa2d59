// The parsers of what says which ids a user may have: passwd, nsswitch.conf, subuid, uid_map, and
// the capabilities of a program.

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "parse/accounts.hpp"
#include "parse/file_capabilities.hpp"
#include "parse/id_map.hpp"
#include "parse/subordinate_ids.hpp"

namespace surveyd::test {
namespace {

using namespace std::string_literals;

struct UserRow {
  std::string_view passwd;
  unsigned uid;
  std::optional<std::string> name;
};

const UserRow user_rows[] = {{"", 0, std::nullopt},
                             {"root:x:0:0:root:/root:/bin/sh\n", 0, "root"},
                             {"root:x:0:0:root:/root:/bin/sh", 0, "root"},
                             {"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n", 0, "root"},
                             {"\n\nalice:x:1000:1000::/home/alice:/bin/sh\n", 1000, "alice"},
                             {"alice:x:1000:100::/:\n", 100, std::nullopt},  // the group
                             {"alice:x:10001:1::/:\n", 1000, std::nullopt},  // a longer number
                             {"alice:x:01000:1::/:\n", 1000, std::nullopt},
                             {"alice:x:1000\n", 1000, std::nullopt},  // truncated
                             {":x:1000:1000::/:\n", 1000, std::nullopt},
                             {"+::::::\n", 0, std::nullopt},  // of NIS
                             {"alice::1000:1000::/:\n", 1000, "alice"},
                             {"a\\b@c:x:4294967294:1::/:\n", 4294967294, "a\\b@c"}};

TEST(UserName, IsThatOfTheFirstLineWithTheNumber) {
  for (const UserRow& row : user_rows)
    EXPECT_EQ(parse::user_name(row.passwd, row.uid), row.name) << row.passwd;
}

struct ServiceRow {
  std::string_view nsswitch;
  std::optional<std::vector<std::string>> services;
};

const ServiceRow service_rows[] = {
    {"", std::nullopt},
    {"passwd: files\n", std::nullopt},
    {"subid: files\n", {{"files"}}},
    {"subid:sss", {{"sss"}}},
    {" subid :  sss\tfiles # and a comment\n", {{"sss", "files"}}},
    {"# subid: sss\n", std::nullopt},
    {"subids: sss\n", std::nullopt},
    {"xsubid: sss\n", std::nullopt},
    {"subid\n", std::nullopt},
    {"subid:\n", std::vector<std::string>{}},
    {"subid: files [NOTFOUND=return] sss\n", {{"files", "[NOTFOUND=return]", "sss"}}}};

TEST(NameServices, AreTheWordsAfterTheDatabase) {
  for (const ServiceRow& row : service_rows)
    EXPECT_EQ(parse::name_services(row.nsswitch, "subid"), row.services) << row.nsswitch;
}

struct RangeRow {
  std::string_view subuid;
  std::uint64_t ids;  ///< of alice, who is 1000
};

constexpr RangeRow range_rows[] = {
    {"", 0},
    {"alice:100000:65536\n", 65536},
    {"alice:100000:65536", 65536},
    {"1000:100000:65536\n", 65536},
    {"alice:100000:65536\n1000:165536:65536\n", 131072},
    {"alice:100000:65536\n1000:100000:65536\n", 65536},   // the same twice
    {"alice:100000:65536\nalice:132768:65536\n", 98304},  // half of it
    {"alice:100000:65536\nalice:100010:10\n", 65536},     // within
    {"alice:165536:10\nalice:100000:10\n", 20},           // not in order
    {"alicia:100000:65536\n", 0},
    {"10000:100000:65536\n", 0},
    {"01000:100000:65536\n", 0},
    {"alice:100000\n", 0},
    {"alice:100000:65536:1\n", 0},
    {"alice::65536\n", 0},
    {"alice:100000:\n", 0},
    {"alice:-1:65536\n", 0},
    {"alice:100000:65536 \n", 0},
    {"alice:100000:0\n", 0},
    {"alice:0x100:16\n", 0},
    {"alice:4294967294:1\n", 1},
    {"alice:4294967295:1\n", 0},      // (uid_t)-1
    {"alice:4294901760:65536\n", 0},  // reaches it
    {"alice:1:18446744073709551615\n", 0},
    {"alice:1:18446744073709551616\n", 0},
    {":100000:65536\n", 0},
    {"# alice:100000:65536\n", 0},
    {"\n\nbob:1:2\nalice:100000:65536\n", 65536}};

TEST(SubordinateIds, AreCountedOnceEach) {
  for (const RangeRow& row : range_rows)
    EXPECT_EQ(parse::ids_of(parse::subordinate_ranges(row.subuid), "alice", 1000), row.ids)
        << row.subuid;
}

TEST(SubordinateIds, AreFoundByNumberWhereTheNameIsNotKnown) {
  const auto ranges = parse::subordinate_ranges("alice:100000:65536\n1000:200000:10\n");
  EXPECT_EQ(parse::ids_of(ranges, std::nullopt, 1000), 10U);
}

struct FreeRow {
  std::string_view taken;
  std::optional<std::uint64_t> first;
};

const FreeRow free_rows[] = {{"", 100000},
                             {"a:100000:65536\n", 165536},
                             {"a:165536:65536\n", 100000},
                             {"a:165535:1\n", 165536},
                             {"a:165536:1\n", 100000},
                             {"a:99999:1\n", 100000},
                             {"a:100000:65537\n", 231072},
                             {"b:165536:65536\na:100000:65536\n", 231072},
                             {"a:1:4294967293\n", std::nullopt},
                             {"not a line\n", 100000}};

TEST(FreeRange, OverlapsNobodys) {
  for (const FreeRow& row : free_rows)
    EXPECT_EQ(parse::free_range(parse::subordinate_ranges(row.taken)), row.first) << row.taken;
}

struct MapRow {
  std::string_view map;
  std::uint64_t ids;
};

constexpr MapRow map_rows[] = {{"", 0},
                               {"         0          0 4294967295\n", 4294967295},
                               {"         0       1000          1\n", 1},
                               {"0 1000 1\n1 100000 65536\n", 65537},
                               {"0 1000 1", 1},
                               {"0 1000\n", 0},
                               {"0 1000 1 2\n", 0},
                               {"0 1000 x\n", 0},
                               {"0 1000 4294967296\n", 0}};

TEST(IdMap, SaysHowManyIdsThereAre) {
  for (const MapRow& row : map_rows) EXPECT_EQ(parse::mapped_ids(row.map), row.ids) << row.map;
}

// As `setcap cap_setuid=ep` writes it (Linux 6.18), and what nobody should have written.
const std::string setuid_ep = "\1\0\0\2\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s;

TEST(FileCapabilities, AreReadAsSetcapWritesThem) {
  const auto read = parse::file_capabilities(setuid_ep);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->gives(CAP_SETUID));
  EXPECT_FALSE(read->gives(CAP_SETGID));
  EXPECT_EQ(read->root, 0U);
}

TEST(FileCapabilities, OfRevision3NameTheRootWhomTheyBelongTo) {
  std::string third = setuid_ep + "\240\206\1\0"s;
  third[3] = 3;
  const auto read = parse::file_capabilities(third);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->gives(CAP_SETUID));
  EXPECT_EQ(read->root, 100000U);
}

TEST(FileCapabilities, AboveTheThirtySecondAreInTheSecondHalf) {
  std::string high = setuid_ep;
  high[12] = 1 << (CAP_MAC_OVERRIDE - 32);
  const auto read = parse::file_capabilities(high);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->gives(CAP_MAC_OVERRIDE));
}

TEST(FileCapabilities, GiveNothingThatIsOnlyPermittedOrInherited) {
  std::string permitted = setuid_ep;
  permitted[0] = 0;
  EXPECT_FALSE(parse::file_capabilities(permitted)->gives(CAP_SETUID));
  std::string inheritable = setuid_ep;
  std::swap(inheritable[4], inheritable[8]);
  EXPECT_FALSE(parse::file_capabilities(inheritable)->gives(CAP_SETUID));
}

TEST(FileCapabilities, AreNothingInAnyOtherForm) {
  std::string first = setuid_ep.substr(0, 12);
  first[3] = 1;
  std::string third_too_short = setuid_ep;
  third_too_short[3] = 3;
  for (const std::string& text :
       {""s, "\1\0\0"s, "\1\0\0\2"s, setuid_ep.substr(0, 19), setuid_ep + "\0"s, first,
        third_too_short, std::string(20, '\xff'), std::string(20, '\0')})
    EXPECT_FALSE(parse::file_capabilities(text)) << text.size();
}

}  // namespace
}  // namespace surveyd::test
