// What systemd calls things: units in cgroup paths, and distributions in os-release.

#include <gtest/gtest.h>

#include "parse/os_release.hpp"
#include "parse/systemd_unit.hpp"

namespace surveyd::test {
namespace {

struct UnitRow {
  const char* path;
  const char* unit;  // empty: none
  bool of_user;
};

constexpr UnitRow unit_rows[] = {
    {"/", "", false},
    {"", "", false},
    {"/a", "", false},
    {"/system.slice", "", false},
    {"/system.slice/a.service", "a.service", false},
    {"/system.slice/a.service/init", "a.service", false},
    {"/system.slice/system-b.slice/b@1.service", "b@1.service", false},
    {"/init.scope", "init.scope", false},
    {"/user.slice/user-0.slice/session-2.scope", "session-2.scope", false},
    {"/user.slice/user-1.slice/user@1.service", "user@1.service", false},
    {"/user.slice/user-1.slice/user@1.service/app.slice/c.service", "c.service", true},
    {"/user.slice/user-1.slice/user@1.service/other", "", false},
    {"/system.slice/.service", "", false},
    {"/../system.slice/a.service", "", false},
    {"/system.slice/dev\\x2dfoo.service", "dev\\x2dfoo.service", false},
    // Anybody may name a cgroup of his own, and the name goes into a command.
    {"/system.slice/a';reboot;'.service", "", false},
    {"/system.slice/a$(reboot).service", "", false},
    {"/system.slice/a b.service", "", false}};

TEST(SystemdUnit, IsTheFirstDirectoryBelowTheSlices) {
  for (const UnitRow& row : unit_rows) {
    const auto unit = parse::systemd_unit(row.path);
    EXPECT_EQ(unit ? unit->name : "", row.unit) << row.path;
    EXPECT_EQ(unit && unit->of_user, row.of_user) << row.path;
  }
}

TEST(SystemdUnit, HasANameOfLimitedLength) {
  EXPECT_FALSE(parse::systemd_unit("/" + std::string(250, 'a') + ".service"));
}

struct ReleaseRow {
  const char* text;
  std::vector<std::string> names;
};

TEST(OsRelease, NamesTheDistributionAndItsRelatives) {
  const ReleaseRow rows[] = {
      {"", {}},
      {"ID=debian\n", {"debian"}},
      {"NAME=\"X\"\nID=ubuntu\nID_LIKE=debian\n", {"ubuntu", "debian"}},
      {"ID_LIKE=\"rhel centos fedora\"\nID='rocky'\n", {"rocky", "rhel", "centos", "fedora"}},
      {"VERSION_ID=12\n#ID=a\n", {}},
      {"ID=a\nID=b", {"b"}}};
  for (const ReleaseRow& row : rows)
    EXPECT_EQ(parse::distributions(row.text), row.names) << row.text;
}

}  // namespace
}  // namespace surveyd::test
