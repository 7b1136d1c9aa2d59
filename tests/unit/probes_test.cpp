// The probes of the process, its devices and its helpers.

#include <cerrno>
#include <set>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/findings.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

// What they say about the thing itself, and what only about us at this moment.
constexpr int refusals[] = {EPERM, EACCES, ENOENT, ENODEV, ENXIO, ENOTDIR, ELOOP, EBUSY};
constexpr int mishaps[] = {EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN, EIO, ENOSYS};

const std::vector<Probe> every_probe = probes_for({default_storage});

bool has_errno(const Finding& finding, int number) {
  for (const Evidence& one : finding.evidence)
    if (one.error == std::error_code{number, std::generic_category()}) return true;
  return false;
}

// A system call answers whatever becomes of the files.
void refuse_calls(FixtureHost& host, int number) {
  for (const KernelCall call :
       {KernelCall::clone3, KernelCall::openat2, KernelCall::pidfd_open,
        KernelCall::pidfd_send_signal, KernelCall::mount_setattr, KernelCall::bpf})
    host.call_answers[call] = number;
}

TEST(Catalogue, HasUniqueIdsInSnakeCase) {
  std::set<std::string> ids;
  for (const Probe& probe : probes_for({default_storage, "/mnt/a b"})) {
    const std::string id = probe.id;
    EXPECT_TRUE(ids.insert(id).second) << id;
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos);
    EXPECT_TRUE(id.front() >= 'a' && id.front() <= 'z') << id;
    EXPECT_NE(std::string_view{probe.summary}, "") << id;
  }
}

TEST(Catalogue, HasWhatTheSurveyFieldsComeFrom) {
  std::set<std::string_view> ids;
  for (const Probe& probe : catalogue()) ids.insert(probe.id);
  for (const char* id : {"is_root", "is_nested", "cgroup_parent", "can_write_cgroup_root",
                         "has_cap_net_admin", "tun_device_available", "overlayfs_rootfs_available",
                         "fuse_overlayfs_rootfs_available", "pasta_available", "container",
                         "cgroup_version", "cgroup_host_placement", "cgroup_scope_placement"})
    EXPECT_TRUE(ids.contains(id)) << id;
}

TEST(RunProbes, GivesOneExplainedFindingForEachInOrder) {
  const Machine machine;
  const Findings findings = run_probes(every_probe, machine.host, {});
  ASSERT_EQ(findings.all().size(), every_probe.size());
  for (std::size_t i = 0; i < every_probe.size(); ++i) {
    const Finding& finding = findings.all()[i];
    EXPECT_EQ(finding.id, every_probe[i].id);
    EXPECT_NE(finding.reason, "") << finding.id;
    EXPECT_GE(finding.duration.count(), 0) << finding.id;
    EXPECT_FALSE(finding.failed) << finding.id;
  }
}

TEST(RunProbes, FindNothingWhereNothingCanBeSeen) {
  FixtureHost empty;
  empty.identity.effective_uid = 1000;
  empty.identity.effective_capabilities.reset();
  refuse_calls(empty, ENOSYS);
  const Findings findings = run_probes(every_probe, empty, {});
  for (const Finding& finding : findings.all())
    EXPECT_NE(finding.status, Status::yes) << finding.id;
}

TEST(RunProbes, FindNothingWhereEveryFileFails) {
  for (const int number : mishaps) {
    Machine machine;
    machine.host.identity.effective_uid = 1000;
    machine.host.identity.effective_capabilities = 0;
    for (const auto& [path, node] : machine.host.nodes) machine.host.errors[path] = number;
    refuse_calls(machine.host, number);
    const Findings findings = run_probes(every_probe, machine.host, {});
    for (const Finding& finding : findings.all())
      EXPECT_NE(finding.status, Status::yes) << finding.id << " " << number;
  }
}

TEST(IsRoot, AsksForTheEffectiveUser) {
  Machine machine;
  machine.host.identity.real_uid = 1000;
  EXPECT_EQ(machine.status("is_root"), Status::yes);
  machine.host.identity.effective_uid = 1000;
  machine.host.identity.real_uid = 0;
  EXPECT_EQ(machine.status("is_root"), Status::no);
}

TEST(HasCapNetAdmin, IsAboutTheEffectiveSetAlone) {
  constexpr std::uint64_t net_admin = std::uint64_t{1} << CAP_NET_ADMIN;
  Machine machine;
  machine.host.identity.effective_capabilities = net_admin;
  machine.host.identity.permitted_capabilities = 0;
  EXPECT_EQ(machine.status("has_cap_net_admin"), Status::yes);
  machine.host.identity.effective_capabilities = ~net_admin;
  machine.host.identity.permitted_capabilities = ~std::uint64_t{0};
  EXPECT_EQ(machine.status("has_cap_net_admin"), Status::no);
}

TEST(HasCapNetAdmin, IsUnknownWhenTheKernelDoesNotSay) {
  Machine machine;
  machine.host.identity.effective_capabilities.reset();
  const Finding finding = machine.ask("has_cap_net_admin");
  EXPECT_EQ(finding.status, Status::unknown);
  EXPECT_TRUE(has_errno(finding, EPERM));
}

TEST(TunDevice, IsThereWhenItOpens) {
  const Machine machine;
  const Finding finding = machine.ask("tun_device_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "10:200");
}

TEST(TunDevice, KeepsTheNumberOfAnotherDeviceThatOpens) {
  Machine machine;
  machine.host.add_device("/dev/net/tun", 10, 229, 0666);
  const Finding finding = machine.ask("tun_device_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "10:229");
  EXPECT_NE(finding.reason.find("not the TUN device"), std::string::npos);
}

TEST(TunDevice, HasNoNumberWhenItIsARegularFile) {
  Machine machine;
  machine.host.add_file("/dev/net/tun", "", 0666);
  const Finding finding = machine.ask("tun_device_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "");
  EXPECT_NE(finding.reason.find("not the TUN device"), std::string::npos);
}

TEST(TunDevice, IsNotThereWhenItIsRefused) {
  for (const int number : refusals) {
    Machine machine;
    machine.host.errors["/dev/net/tun"] = number;
    const Finding finding = machine.ask("tun_device_available");
    EXPECT_EQ(finding.status, Status::no) << number;
    EXPECT_TRUE(has_errno(finding, number)) << number;
  }
}

TEST(TunDevice, IsUnknownWhenOnlyWeFailed) {
  for (const int number : mishaps) {
    Machine machine;
    machine.host.errors["/dev/net/tun"] = number;
    const Finding finding = machine.ask("tun_device_available");
    EXPECT_EQ(finding.status, Status::unknown) << number;
    EXPECT_TRUE(has_errno(finding, number)) << number;
  }
}

TEST(TunDevice, IsNotThereForAUserWithoutRights) {
  Machine machine;
  machine.host.add_device("/dev/net/tun", 10, 200, 0600);
  machine.become(1000);
  EXPECT_EQ(machine.status("tun_device_available"), Status::no);
}

TEST(FuseOverlayfs, NeedsTheDeviceAndBothPrograms) {
  const Machine machine;
  const Finding finding = machine.ask("fuse_overlayfs_rootfs_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "/usr/bin/fusermount3");
}

TEST(FuseOverlayfs, NamesEverythingThatIsMissing) {
  Machine machine;
  for (const char* path :
       {"/dev/fuse", "/usr/bin/fuse-overlayfs", "/usr/bin/fusermount3", "/usr/bin/fusermount"})
    machine.host.nodes.erase(path);
  const Finding finding = machine.ask("fuse_overlayfs_rootfs_available");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.value, "");
  for (const char* what : {"/dev/fuse", "fuse-overlayfs is not", "neither fusermount3"})
    EXPECT_NE(finding.reason.find(what), std::string::npos) << what;
}

TEST(FuseOverlayfs, TakesTheOldFusermountOnlyInPlaceOfTheNewOne) {
  Machine machine;
  machine.add_program("/usr/local/bin/fusermount");  // earlier on PATH
  EXPECT_EQ(machine.ask("fuse_overlayfs_rootfs_available").value, "/usr/bin/fusermount3");
  machine.host.nodes.erase("/usr/bin/fusermount3");
  const Finding finding = machine.ask("fuse_overlayfs_rootfs_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "/usr/local/bin/fusermount");
}

TEST(FuseOverlayfs, KeepsThePathOfFusermountWithoutTheRest) {
  Machine machine;
  machine.host.nodes.erase("/dev/fuse");
  const Finding finding = machine.ask("fuse_overlayfs_rootfs_available");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.value, "/usr/bin/fusermount3");
}

TEST(FuseOverlayfs, IsNotThereWhenTheDeviceIsRefused) {
  for (const int number : refusals) {
    Machine machine;
    machine.host.errors["/dev/fuse"] = number;
    EXPECT_EQ(machine.status("fuse_overlayfs_rootfs_available"), Status::no) << number;
  }
}

TEST(FuseOverlayfs, IsUnknownWhenOnlyTheDeviceIsInDoubt) {
  for (const int number : mishaps) {
    Machine machine;
    machine.host.errors["/dev/fuse"] = number;
    EXPECT_EQ(machine.status("fuse_overlayfs_rootfs_available"), Status::unknown) << number;
    machine.host.nodes.erase("/usr/bin/fuse-overlayfs");
    EXPECT_EQ(machine.status("fuse_overlayfs_rootfs_available"), Status::no) << number;
  }
}

TEST(Pasta, IsFoundOnPath) {
  const Machine machine;
  const Finding finding = machine.ask("pasta_available");
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_EQ(finding.value, "/usr/bin/pasta");
}

TEST(Pasta, IsTheFirstOneOnPath) {
  Machine machine;
  machine.add_program("/usr/local/bin/pasta");
  EXPECT_EQ(machine.ask("pasta_available").value, "/usr/local/bin/pasta");
}

struct PathRow {
  const char* why;
  const char* path;
  bool found;
};

constexpr PathRow path_rows[] = {{"empty", "", false},
                                 {"only separators", ":::", false},
                                 {"the working directory", ".", false},
                                 {"relative", "usr/bin:bin:./usr/bin:../usr/bin", false},
                                 {"elsewhere", "/bin:/sbin", false},
                                 {"the name itself", "/usr/bin/pasta", false},
                                 {"last", "bin:.::/nonexistent:/usr/bin", true},
                                 {"first, before an empty entry", "/usr/bin:", true}};

TEST(Pasta, IsLookedForInAbsoluteEntriesOnly) {
  for (const auto& [why, path, is_found] : path_rows) {
    Machine machine;
    machine.add_program("pasta");
    machine.add_program("/pasta");
    machine.add_program("./pasta");
    machine.add_program("usr/bin/pasta");
    machine.host.variables["PATH"] = path;
    EXPECT_EQ(machine.status("pasta_available"), yes_or_no(is_found)) << why;
  }
}

TEST(Pasta, IsLookedForInTheUsualPlacesWithoutPath) {
  Machine machine;
  machine.host.variables.clear();
  EXPECT_EQ(machine.ask("pasta_available").value, "/usr/bin/pasta");
}

TEST(Pasta, IsNoDirectoryAndNotWithoutTheRightToRun) {
  Machine machine;
  machine.host.add_directory("/usr/local/bin/pasta", 0755);
  EXPECT_EQ(machine.ask("pasta_available").value, "/usr/bin/pasta");
  machine.become(1000);
  machine.host.add_file("/usr/bin/pasta", "", 0744);
  EXPECT_EQ(machine.status("pasta_available"), Status::no);
}

TEST(Pasta, IsLookedForFurtherOnWhenTheFirstCannotRun) {
  Machine machine;
  machine.become(1000);
  machine.host.add_file("/usr/local/bin/pasta", "", 0644);
  EXPECT_EQ(machine.ask("pasta_available").value, "/usr/bin/pasta");
}

TEST(Pasta, IsUnknownWhenOnlyWeFailed) {
  for (const int number : {ENOMEM, EIO, EINTR}) {
    Machine machine;
    machine.host.errors["/usr/bin/pasta"] = number;
    EXPECT_EQ(machine.status("pasta_available"), Status::unknown) << number;
  }
}

}  // namespace
}  // namespace surveyd::test
