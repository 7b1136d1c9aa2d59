#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

using namespace std::string_literals;

constexpr const char* id = "subordinate_ids";
constexpr std::uint64_t ids_capabilities = std::uint64_t{1} << CAP_SETUID | std::uint64_t{1}
                                                                                << CAP_SETGID;
const std::string setuid_ep = "\1\0\0\2\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s;
const std::string setgid_ep = "\1\0\0\2\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s;

struct AlicesMachine : Machine {
  AlicesMachine() { become(1000); }
};

TEST(SubordinateIds, AreThereForAUserWithRangesAndPrograms) {
  expect_answer(AlicesMachine{}.ask(id), {Status::yes, ReasonCode::available, "65536"});
}

TEST(SubordinateIds, AreNotNeededByWhoeverMapsIdsByItself) {
  Machine machine;
  machine.host.add_file("/etc/subuid", "");
  expect_answer(machine.ask(id), {Status::yes, ReasonCode::available, "CAP_SETUID"});
  machine.become(1000);
  machine.host.identity.effective_capabilities = ids_capabilities;
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(SubordinateIds, AreNeededByRootWithoutTheCapabilities) {
  Machine machine;
  for (const std::uint64_t one : {std::uint64_t{1} << CAP_SETUID, std::uint64_t{1} << CAP_SETGID}) {
    machine.host.identity.effective_capabilities = one;
    expect_answer(machine.ask(id), {Status::no, ReasonCode::no_subordinate_ids, "root has too few",
                                    "Give root", " root"});
  }
}

TEST(SubordinateIds, OfAUserNamespaceAreThoseThatAreMappedThere) {
  Machine machine;
  machine.set_namespace("user", 4026532000);
  machine.host.add_file("/proc/self/uid_map", "0 1000 1\n1 100000 65536\n");
  machine.host.add_file("/proc/self/gid_map", "0 1000 1\n1 100000 65536\n");
  EXPECT_EQ(machine.status(id), Status::yes);
  machine.host.add_file("/proc/self/gid_map", "0 1000 1\n");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::too_few_subordinate_ids,
                                  "/proc/self/gid_map maps only 1 ids", "mapping of at least"});
  machine.host.add_file("/proc/self/gid_map", "");
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "masked"});
  machine.host.errors["/proc/self/gid_map"] = EACCES;
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "EACCES"});
}

struct RangeRow {
  const char* subuid;
  const char* subgid;
  ReasonCode code;
  const char* command;
};

constexpr RangeRow range_rows[] = {
    {"", "", ReasonCode::no_subordinate_ids,
     "--add-subuids 100000-165535 --add-subgids 100000-165535 alice"},
    {"bob:100000:65536\n", "bob:100000:65536\n", ReasonCode::no_subordinate_ids, "165536-231071"},
    {"bob:100000:65536\n", "carol:165536:65536\n", ReasonCode::no_subordinate_ids, "231072-296607"},
    {"alice:100000:65536\n", "", ReasonCode::no_subordinate_ids, "165536-231071"},
    {"alice:100000:65535\n", "alice:100000:65536\n", ReasonCode::too_few_subordinate_ids,
     "165536-231071"},
    {"alice:100000:1000\n1000:200000:1000\n", "alice:100000:65536\n",
     ReasonCode::too_few_subordinate_ids, "231072-296607"}};

TEST(SubordinateIds, AreTooFewWithoutARangeOfEachKind) {
  for (const RangeRow& row : range_rows) {
    AlicesMachine machine;
    machine.host.add_file("/etc/subuid", row.subuid);
    machine.host.add_file("/etc/subgid", row.subgid);
    expect_answer(machine.ask(id),
                  {Status::no, row.code, "alice has too few", "Give alice", row.command});
  }
}

TEST(SubordinateIds, AreNoneWhereTheFilesAreMissing) {
  AlicesMachine machine;
  machine.host.nodes.erase("/etc/subuid");
  machine.host.nodes.erase("/etc/subgid");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::no_subordinate_ids, "0 in /etc/subuid",
                                  "Give alice", "touch /etc/subuid /etc/subgid && usermod"});
}

TEST(SubordinateIds, HaveNoRemedyWhereNoRangeIsFree) {
  AlicesMachine machine;
  machine.host.add_file("/etc/subuid", "bob:1:4294967293\n");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::no_subordinate_ids});
}

TEST(SubordinateIds, AreFoundByNumberToo) {
  AlicesMachine machine;
  machine.host.add_file("/etc/subuid", "1000:100000:65536\n");
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(SubordinateIds, AreThoseOfTheRealUserAsNewuidmapSeesIt) {
  AlicesMachine machine;
  machine.host.identity.effective_uid = 0;
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(SubordinateIds, AreUnknownWhereAFileCannotBeRead) {
  for (const char* path : {"/etc/passwd", "/etc/subuid", "/etc/subgid", "/etc/nsswitch.conf"}) {
    AlicesMachine machine;
    machine.host.errors[path] = EACCES;
    expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, path});
  }
}

TEST(SubordinateIds, AreUnknownOfAUserWhomOnlyAnotherServiceKnows) {
  AlicesMachine machine;
  machine.host.add_file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  machine.host.add_file("/etc/subuid", "");
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "user 1000"});
}

TEST(SubordinateIds, OfAnotherServiceAreUnknown) {
  AlicesMachine machine;
  machine.host.add_file("/etc/nsswitch.conf", "passwd: files sss\nsubid: sss\n");
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "sss"});
  machine.host.add_file("/etc/nsswitch.conf", "subid: files\n");
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(SubordinateIds, NeedBothPrograms) {
  AlicesMachine machine;
  machine.host.nodes.erase("/usr/bin/newgidmap");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::program_missing, "newgidmap", "uidmap",
                                  "apt-get install -y uidmap"});
  machine.host.nodes.erase("/usr/bin/newuidmap");
  expect_answer(machine.ask(id), {Status::no, ReasonCode::program_missing,
                                  "newuidmap and newgidmap", "uidmap", "uidmap"});
  machine.host.errors["/usr/bin/newuidmap"] = EMFILE;
  machine.host.errors["/usr/bin/newgidmap"] = EMFILE;
  expect_answer(machine.ask(id), {Status::unknown, ReasonCode::unreadable, "PATH"});
}

TEST(SubordinateIds, TakeProgramsWithFileCapabilities) {
  AlicesMachine machine;
  machine.add_program("/usr/bin/newuidmap");
  machine.add_program("/usr/bin/newgidmap");
  machine.host.attributes[{"/usr/bin/newuidmap", "security.capability"}] = setuid_ep;
  machine.host.attributes[{"/usr/bin/newgidmap", "security.capability"}] = setgid_ep;
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(SubordinateIds, TakeNoProgramWithoutItsOwnPrivileges) {
  std::string others = setuid_ep + "\240\206\1\0"s;  // revision 3, of another root
  others[3] = 3;
  for (const std::string& attribute : {""s, setgid_ep, others}) {
    AlicesMachine machine;
    machine.add_program("/usr/bin/newuidmap");
    if (!attribute.empty())
      machine.host.attributes[{"/usr/bin/newuidmap", "security.capability"}] = attribute;
    expect_answer(
        machine.ask(id),
        {Status::no, ReasonCode::program_unprivileged, "/usr/bin/newuidmap is neither",
         "set-user-ID", "chown root:root /usr/bin/newuidmap && chmod u+s /usr/bin/newuidmap"});
  }
}

TEST(SubordinateIds, TakeNoProgramThatIsSetToAnotherUser) {
  AlicesMachine machine;
  machine.host.add_file("/usr/bin/newuidmap", "", 04755, 65534);
  EXPECT_EQ(machine.ask(id).code, ReasonCode::program_unprivileged);
}

TEST(SubordinateIds, TakeNoProgramFromAMountWithoutSetuid) {
  AlicesMachine machine;
  machine.host.mounts["/usr"] = {.magic = 0xEF53, .no_suid = true};
  expect_answer(machine.ask(id),
                {Status::no, ReasonCode::program_unprivileged, "nosuid", "without nosuid"});
}

TEST(SubordinateIds, NeedAProcessWhosePrivilegesCanGrow) {
  AlicesMachine machine;
  machine.host.identity.no_new_privileges = true;
  expect_answer(machine.ask(id), {Status::no, ReasonCode::program_unprivileged, "no_new_privs",
                                  "NoNewPrivileges=no"});
  machine.host.identity.no_new_privileges = false;
  machine.host.identity.bounding_capabilities = ~(std::uint64_t{1} << CAP_SETGID);
  expect_answer(machine.ask(id),
                {Status::no, ReasonCode::capability_missing,
                 "CAP_SETGID is not in the bounding set", "CapabilityBoundingSet="});
}

TEST(SubordinateIds, HaveOneRemedyForAllThatIsMissing) {
  AlicesMachine machine;
  machine.host.add_file("/etc/subuid", "");
  machine.host.nodes.erase("/usr/bin/newuidmap");
  const Finding finding = machine.ask(id);
  EXPECT_EQ(finding.code, ReasonCode::no_subordinate_ids);
  ASSERT_TRUE(finding.remedy);
  EXPECT_NE(finding.remedy->command.find("alice && apt-get install -y uidmap"), std::string::npos);
}

TEST(SubordinateIds, HaveNoCommandThatWouldLeaveSomethingMissing) {
  AlicesMachine machine;
  machine.host.add_file("/etc/subuid", "");
  machine.host.identity.no_new_privileges = true;
  const Finding finding = machine.ask(id);
  ASSERT_TRUE(finding.remedy);
  EXPECT_EQ(finding.remedy->command, "");
  EXPECT_NE(finding.remedy->text.find("Give alice"), std::string::npos);
  EXPECT_NE(finding.remedy->text.find("NoNewPrivileges=no"), std::string::npos);
}

}  // namespace
}  // namespace surveyd::test
