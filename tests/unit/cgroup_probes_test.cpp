// The probes of namespaces and cgroups.

#include <cerrno>

#include <gtest/gtest.h>

#include "support/findings.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

struct OwnRow {
  const char* text;
  Status nested;
  Status parent;
  const char* path;
};

constexpr OwnRow own_rows[] = {{"0::/\n", Status::no, Status::no, ""},
                               {"0::/a\n", Status::yes, Status::yes, "/a"},
                               {"0:: /a b \r\n", Status::yes, Status::yes, "/a b"},
                               {"12:pids:/a\n1:name=systemd:/b\n", Status::no, Status::no, ""},
                               {"12:pids:/a\n0::/c:d\n", Status::yes, Status::yes, "/c:d"},
                               {"10::/x\n", Status::no, Status::no, ""},
                               {"", Status::no, Status::no, ""},
                               {"0::/../x\n", Status::yes, Status::yes, "/../x"},
                               {"0::/a (deleted)\n", Status::yes, Status::yes, "/a (deleted)"}};

TEST(OwnCgroup, IsTheReferencesFieldWordForWord) {
  for (const OwnRow& row : own_rows) {
    Machine machine;
    machine.host.add_file("/proc/self/cgroup", row.text);
    EXPECT_EQ(machine.status("is_nested"), row.nested) << row.text;
    const Finding parent = machine.ask("cgroup_parent");
    EXPECT_EQ(parent.status, row.parent) << row.text;
    EXPECT_EQ(parent.value, row.path) << row.text;
  }
}

TEST(OwnCgroup, IsUnknownBehindAMaskedProc) {
  for (const int number : {ENOENT, EACCES, EPERM, EMFILE, ENOMEM}) {
    Machine machine;
    machine.host.errors["/proc/self/cgroup"] = number;
    for (const char* id : {"is_nested", "cgroup_parent", "cgroup_scope_placement"})
      EXPECT_EQ(machine.status(id), Status::unknown) << id << number;
  }
}

TEST(Container, IsNoneWithTheInitialNamespaces) {
  EXPECT_EQ(Machine{}.status("container"), Status::no);
}

TEST(Container, IsToldByEachNamespace) {
  for (const std::string name : {"cgroup", "pid", "user"}) {
    Machine machine;
    machine.set_namespace(name, 4026532000);
    const Finding finding = machine.ask("container");
    EXPECT_EQ(finding.status, Status::yes) << name;
    EXPECT_EQ(finding.value, name);
  }
}

TEST(Container, IsUnknownWithoutANamespaceUnlessAnotherTells) {
  Machine machine;
  machine.host.nodes.erase("/proc/self/ns/pid");
  EXPECT_EQ(machine.status("container"), Status::unknown);
  machine.set_namespace("user", 4026532000);
  EXPECT_EQ(machine.status("container"), Status::yes);
}

TEST(Container, TakesMarkerFilesForEvidenceButNotForProof) {
  Machine machine;
  machine.host.add_file("/.dockerenv", "");
  const Finding finding = machine.ask("container");
  EXPECT_EQ(finding.status, Status::no);
  bool mentioned = false;
  for (const Evidence& one : finding.evidence)
    mentioned = mentioned || (one.source == "/.dockerenv" && one.value == "present");
  EXPECT_TRUE(mentioned);
}

TEST(CanWriteCgroupRoot, AsksForTheRealUserAsTheReferenceDoes) {
  Machine machine;
  EXPECT_EQ(machine.status("can_write_cgroup_root"), Status::yes);
  machine.host.identity.real_uid = 1000;
  EXPECT_EQ(machine.status("can_write_cgroup_root"), Status::no);
  EXPECT_EQ(machine.status("cgroup_host_placement"), Status::yes);
}

TEST(CanWriteCgroupRoot, SeesAReadOnlyMount) {
  Machine machine;
  machine.mount_cgroup2("/", true);
  const Finding finding = machine.ask("can_write_cgroup_root");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_NE(finding.reason.find("EROFS"), std::string::npos);
}

TEST(CanWriteCgroupRoot, TellsARefusalFromAMishap) {
  struct Row {
    int number;
    Status status;
  };
  for (const auto& [number, status] :
       {Row{EACCES, Status::no}, Row{EPERM, Status::no}, Row{ENOENT, Status::no},
        Row{EROFS, Status::no}, Row{ENOMEM, Status::unknown}, Row{EIO, Status::unknown}}) {
    Machine machine;
    machine.host.errors["/sys/fs/cgroup/cgroup.subtree_control"] = number;
    EXPECT_EQ(machine.status("can_write_cgroup_root"), status) << number;
  }
}

TEST(CanWriteCgroupRoot, TakesAStrayFileOnATmpfsForTheTree) {
  Machine machine;
  machine.host.mounts[cgroup_root] = {tmpfs_magic, false};
  EXPECT_EQ(machine.status("can_write_cgroup_root"), Status::yes);
  EXPECT_EQ(machine.status("cgroup_host_placement"), Status::no);
}

struct HierarchyRow {
  const char* mountinfo;
  Status status;
  const char* version;
};

constexpr HierarchyRow other_hierarchies[] = {
    {"1 2 0:30 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n", Status::no, "v1"},
    {"1 2 0:30 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n"
     "3 2 0:31 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n",
     Status::no, "hybrid"},
    {"3 2 0:31 / /mnt/cgroup2 rw - cgroup2 none rw\n", Status::no, "none"},
    {"3 2 0:31 / /sys/fs/cgroup rw - tmpfs none rw\n", Status::no, "none"},
    {"", Status::no, "none"}};

TEST(CgroupVersion, IsProvedByTheMagicAndExplainedByTheMounts) {
  Machine machine;
  EXPECT_EQ(machine.ask("cgroup_version").value, "v2");
  for (const HierarchyRow& row : other_hierarchies) {
    machine.host.mounts[cgroup_root] = {tmpfs_magic, false};
    machine.host.add_file("/proc/self/mountinfo", row.mountinfo);
    const Finding finding = machine.ask("cgroup_version");
    EXPECT_EQ(finding.value, row.version);
    EXPECT_EQ(finding.status, row.status) << row.version;
    for (const char* id : {"cgroup_host_placement", "cgroup_scope_placement", "cgroup_delegation"})
      EXPECT_EQ(machine.status(id), Status::no) << id << row.version;
  }
}

TEST(CgroupVersion, NamesThePlaceOfATreeThatIsElsewhere) {
  Machine machine;
  machine.host.mounts[cgroup_root] = {tmpfs_magic, false};
  machine.host.add_file("/proc/self/mountinfo", "3 2 0:31 / /mnt/c rw - cgroup2 none rw\n");
  EXPECT_NE(machine.ask("cgroup_version").reason.find("/mnt/c"), std::string::npos);
}

TEST(CgroupVersion, IsUnknownWhenNeitherSourceCanBeRead) {
  Machine machine;
  machine.host.errors[cgroup_root] = EACCES;
  machine.host.errors["/proc/self/mountinfo"] = EACCES;
  for (const char* id : {"cgroup_version", "cgroup_host_placement", "cgroup_scope_placement"})
    EXPECT_EQ(machine.status(id), Status::unknown) << id;
}

TEST(HostPlacement, NeedsOneOfThreeControllers) {
  struct Row {
    const char* controllers;
    bool usable;
  };
  for (const auto& [controllers, usable] :
       {Row{"cpu\n", true}, Row{"memory\n", true}, Row{"pids\n", true}, Row{"io pids misc", true},
        Row{"", false}, Row{"\n", false}, Row{"cpuset io hugetlb rdma misc\n", false}}) {
    Machine machine;
    machine.add_cgroup("", controllers);
    EXPECT_EQ(machine.status("cgroup_host_placement"), yes_or_no(usable)) << controllers;
  }
}

TEST(HostPlacement, IsAtTheRealRootOnly) {
  Machine machine;
  machine.host.add_file("/sys/fs/cgroup/cgroup.type", "domain\n");
  EXPECT_EQ(machine.status("cgroup_host_placement"), Status::no);
}

TEST(HostPlacement, NeedsAWritableMount) {
  Machine machine;
  machine.mount_cgroup2("/", true);
  const Finding finding = machine.ask("cgroup_host_placement");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_NE(finding.reason.find("read-only"), std::string::npos);
}

TEST(HostPlacement, NeedsTheRightToWrite) {
  Machine machine;
  machine.become(1000);
  EXPECT_EQ(machine.status("cgroup_host_placement"), Status::no);
}

TEST(HostPlacement, IsUnknownWhenOnlyWeFailed) {
  for (const int number : {ENOMEM, EIO, EINTR}) {
    Machine machine;
    machine.host.errors["/sys/fs/cgroup/cgroup.subtree_control"] = number;
    EXPECT_EQ(machine.status("cgroup_host_placement"), Status::unknown) << number;
  }
}

TEST(ScopePlacement, IsTheOwnCgroupWhenItAcceptsContainers) {
  Machine machine;
  machine.host.add_file("/proc/self/cgroup", "0::/a.slice/b\n");
  machine.add_cgroup("a.slice/b", "cpu pids\n");
  const Finding finding = machine.ask("cgroup_scope_placement");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "/a.slice/b");
}

TEST(ScopePlacement, IsADelegatedOneForAUser) {
  Machine machine;
  machine.become(1000);
  machine.host.add_file("/proc/self/cgroup", "0::/user@1000.service\n");
  machine.add_cgroup("user@1000.service", "memory pids\n", 0755, 1000);
  EXPECT_EQ(machine.status("cgroup_scope_placement"), Status::yes);
  machine.add_cgroup("user@1000.service", "memory pids\n", 0755, 0);
  EXPECT_EQ(machine.status("cgroup_scope_placement"), Status::no);
}

TEST(ScopePlacement, IsNotTheRealRoot) {
  EXPECT_EQ(Machine{}.status("cgroup_scope_placement"), Status::no);
}

TEST(ScopePlacement, IsTheRootOfTheOwnNamespace) {
  Machine machine;
  machine.host.add_file("/sys/fs/cgroup/cgroup.type", "domain\n");
  for (const char* own : {"0::/\n", "0::/gone\n", "0::/../x\n", "0::/a (deleted)\n"}) {
    machine.host.add_file("/proc/self/cgroup", own);
    const Finding finding = machine.ask("cgroup_scope_placement");
    EXPECT_EQ(finding.status, Status::yes) << own;
    EXPECT_EQ(finding.value, "/") << own;
  }
}

TEST(ScopePlacement, IsNowhereWhenTheOwnCgroupIsOutOfSight) {
  for (const char* own : {"0::/gone\n", "0::/../x\n", "0::/a (deleted)\n", "0::/..\n"}) {
    Machine machine;
    machine.add_cgroup("x", "cpu\n");
    machine.add_cgroup("a", "cpu\n");
    machine.host.add_file("/proc/self/cgroup", own);
    EXPECT_EQ(machine.status("cgroup_scope_placement"), Status::no) << own;
  }
}

TEST(ScopePlacement, FollowsTheDirectoryThatIsMounted) {
  struct Row {
    const char* mounted;
    const char* own;
    bool usable;
  };
  for (const auto& [mounted, own, usable] :
       {Row{"/a", "0::/a/b\n", true}, Row{"/a", "0::/ab\n", false}, Row{"/a", "0::/b\n", false},
        Row{"/..", "0::/b\n", false}}) {
    Machine machine;
    machine.mount_cgroup2(mounted);
    machine.host.add_file("/sys/fs/cgroup/cgroup.type", "domain\n");
    machine.add_cgroup("b", "cpu\n");
    machine.host.add_file("/proc/self/cgroup", own);
    EXPECT_EQ(machine.status("cgroup_scope_placement"), yes_or_no(usable)) << mounted << own;
  }
}

TEST(ScopePlacement, NeedsOneOfThreeControllers) {
  Machine machine;
  machine.host.add_file("/proc/self/cgroup", "0::/a\n");
  machine.add_cgroup("a", "cpuset io\n");
  EXPECT_EQ(machine.status("cgroup_scope_placement"), Status::no);
}

TEST(OwnCgroup, IsNoneWhenItsPathIsEmpty) {
  Machine machine;
  machine.host.add_file("/proc/self/cgroup", "0::\n");
  EXPECT_NE(machine.status("is_nested"), Status::yes);
  EXPECT_NE(machine.status("cgroup_parent"), Status::yes);
  EXPECT_NO_THROW((void)machine.ask("cgroup_scope_placement"));
}

TEST(CgroupVersion, IsUnknownWhenTheTreeThatIsMountedCannotBeAsked) {
  for (const int number : {EACCES, ENOMEM, EIO}) {
    Machine machine;
    machine.host.errors[cgroup_root] = number;
    EXPECT_EQ(machine.status("cgroup_version"), Status::unknown) << number;
  }
}

TEST(HostPlacement, IsUnknownWhenOnlyWeFailedToReadWhatItOffers) {
  for (const char* file : {"cgroup.controllers", "cgroup.type"})
    for (const int number : {EMFILE, ENFILE, ENOMEM}) {
      Machine machine;
      machine.host.errors[std::string{cgroup_root} + "/" + file] = number;
      EXPECT_EQ(machine.status("cgroup_host_placement"), Status::unknown) << file << number;
    }
}

TEST(ScopePlacement, IsUnknownWhenOnlyWeFailed) {
  for (const char* path : {"/sys/fs/cgroup/a", "/sys/fs/cgroup/a/cgroup.subtree_control",
                           "/sys/fs/cgroup/a/cgroup.controllers", "/proc/self/mountinfo"})
    for (const int number : {EMFILE, ENOMEM}) {
      Machine machine;
      machine.host.add_file("/proc/self/cgroup", "0::/a\n");
      machine.add_cgroup("a", "cpu\n");
      machine.host.errors[path] = number;
      EXPECT_EQ(machine.status("cgroup_scope_placement"), Status::unknown) << path << number;
    }
}

}  // namespace
}  // namespace surveyd::test
