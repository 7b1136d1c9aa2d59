#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* id = "overlayfs_rootfs_available";
constexpr const char* modules = "/lib/modules/6.1.0-test/modules.dep";

void forget_overlay(Machine& machine) {
  machine.host.add_file("/proc/filesystems", "nodev\tsysfs\nnodev\toverlay2\n\text4\n");
}

TEST(Overlayfs, IsThereWhenTheKernelHasItRegistered) {
  const Machine machine;
  EXPECT_EQ(machine.status(id), Status::yes);
}

TEST(Overlayfs, IsThereWhenTheKernelCanLoadIt) {
  Machine machine;
  forget_overlay(machine);
  machine.host.add_file(modules, "kernel/fs/overlayfs/overlay.ko.xz:\n");
  const Finding finding = machine.ask(id);
  EXPECT_EQ(finding.status, Status::yes);
  EXPECT_NE(finding.reason.find("loads"), std::string::npos);
}

TEST(Overlayfs, IsNotThereWhenThereIsNoModuleOfThatName) {
  Machine machine;
  forget_overlay(machine);
  machine.host.add_file(modules, "kernel/fs/fuse/fuse.ko.xz:\n");
  EXPECT_EQ(machine.status(id), Status::no);
}

TEST(Overlayfs, LooksForTheModulesOfTheRunningKernel) {
  Machine machine;
  forget_overlay(machine);
  machine.host.add_file("/lib/modules/5.0.0-other/modules.dep", "fs/overlay.ko:\n");
  EXPECT_EQ(machine.status(id), Status::unknown);
}

TEST(Overlayfs, IsUnknownWhereTheModulesAreOutOfSight) {
  for (const int number : {ENOENT, EACCES, EPERM, EMFILE}) {
    Machine machine;
    forget_overlay(machine);
    machine.host.errors[modules] = number;
    EXPECT_EQ(machine.status(id), Status::unknown) << number;
  }
}

TEST(Overlayfs, IsUnknownBehindAMaskedProc) {
  for (const int number : {ENOENT, EACCES, EPERM, EMFILE, ENOMEM}) {
    Machine machine;
    machine.host.errors["/proc/filesystems"] = number;
    EXPECT_EQ(machine.status(id), Status::unknown) << number;
  }
}

TEST(Overlayfs, NeedsTheCapabilityToMount) {
  Machine machine;
  machine.host.identity.effective_capabilities = ~(std::uint64_t{1} << CAP_SYS_ADMIN);
  EXPECT_EQ(machine.status(id), Status::no);
}

TEST(Overlayfs, IsUnknownWithoutTheCapabilitySets) {
  Machine machine;
  machine.host.identity.effective_capabilities.reset();
  EXPECT_EQ(machine.status(id), Status::unknown);
}

struct ReleaseRow {
  const char* release;
  Status in_user_namespace;
};

constexpr ReleaseRow release_rows[] = {
    {"4.19.0", Status::no},   {"5.4.0-1", Status::no}, {"5.9.16", Status::no},
    {"5.10.200", Status::no}, {"5.11.0", Status::yes}, {"5.11-rc1", Status::yes},
    {"6.1.0", Status::yes},   {"10.0.0", Status::yes}, {"custom", Status::yes}};

TEST(Overlayfs, MountsInAUserNamespaceSinceLinux511) {
  for (const auto& [release, status] : release_rows) {
    Machine machine;
    machine.host.release = release;
    machine.set_namespace("user", 4026532000);
    EXPECT_EQ(machine.status(id), status) << release;
  }
}

TEST(Overlayfs, MountsOutsideOfOneWithAnyKernel) {
  for (const auto& row : release_rows) {
    Machine machine;
    machine.host.release = row.release;
    machine.set_namespace("pid", 4026532000);  // another one that does not matter
    EXPECT_EQ(machine.status(id), Status::yes) << row.release;
  }
}

TEST(Overlayfs, SaysWhyItIsNotThere) {
  using enum ReasonCode;
  Machine machine;
  forget_overlay(machine);
  machine.host.add_file(modules, "kernel/fs/overlayfs/overlay.ko:\n");
  expect_answer(machine.ask(id), {Status::yes, loadable});
  machine.host.add_file(modules, "");
  expect_answer(machine.ask(id), {Status::no, kernel_lacks});
  machine.host.nodes.erase(modules);
  expect_answer(machine.ask(id), {Status::unknown, unreadable});
  machine.set_namespace("user", 4026532000);
  machine.host.release = "5.10.0";
  expect_answer(machine.ask(id), {Status::no, kernel_too_old, "5.11"});
}

constexpr const char* on_storage = "overlayfs_on_var_lib";

struct WithStorage : Machine {
  WithStorage() { host.add_directory("/var/lib"); }
  void mount(std::uint64_t magic, bool read_only = false) {
    host.mounts["/var/lib"] = {magic, read_only};
  }
};

TEST(OverlayfsOn, HasTheStoragePathForItsValue) {
  const WithStorage machine;
  const Finding finding = machine.ask(on_storage);
  expect_answer(finding, {Status::yes, ReasonCode::available});
  EXPECT_EQ(finding.value, "/var/lib");
}

TEST(OverlayfsOn, NeedsTheDirectory) {
  Machine machine;
  machine.host.nodes.erase("/var/lib");
  expect_answer(machine.ask(on_storage), {Status::no, ReasonCode::storage_missing, "ENOENT",
                                          "Make the directory", "mkdir -p /var/lib"});
}

TEST(OverlayfsOn, NeedsToBeWritten) {
  WithStorage machine;
  machine.mount(0xef53, true);
  expect_answer(machine.ask(on_storage), {Status::no, ReasonCode::read_only});
  machine.mount(0xef53);
  machine.become(1000);
  expect_answer(machine.ask(on_storage), {Status::no, ReasonCode::permission_denied, "EACCES"});
}

TEST(OverlayfsOn, NeedsAFileSystemThatCanHoldAnUpperLayer) {
  for (const std::uint64_t magic : {0x6969U, 0x794c7630U, 0x65735546U, 0x4d44U, 0xf15fU, 0x517bU,
                                    0xfe534d42U, 0xff534d42U, 0x01021997U}) {
    WithStorage machine;
    machine.mount(magic);
    expect_answer(machine.ask(on_storage),
                  {Status::no, ReasonCode::storage_unsuitable, "upper layer", "--storage"});
  }
  for (const std::uint64_t magic : {0xef53U, 0x58465342U, 0x9123683eU, 0x01021994U}) {
    WithStorage machine;
    machine.mount(magic);
    EXPECT_EQ(machine.status(on_storage), Status::yes) << magic;
  }
}

TEST(OverlayfsOn, IsOnATmpfsInAUserNamespaceSinceLinux66) {
  WithStorage machine;
  machine.mount(tmpfs_magic);
  machine.set_namespace("user", 4026532000);
  machine.host.release = "6.5.0";
  EXPECT_EQ(machine.ask(on_storage).code, ReasonCode::storage_unsuitable);
  machine.host.release = "6.6.0";
  EXPECT_EQ(machine.status(on_storage), Status::yes);
}

TEST(OverlayfsOn, NeedsOverlayfsAtAll) {
  WithStorage machine;
  forget_overlay(machine);
  machine.host.add_file(modules, "");
  expect_answer(machine.ask(on_storage), {Status::no, ReasonCode::kernel_lacks});
}

TEST(OverlayfsOn, IsUnknownWhenOnlyWeFailed) {
  for (const int number : {EMFILE, ENOMEM, EIO}) {
    WithStorage machine;
    machine.host.errors["/var/lib"] = number;
    EXPECT_EQ(machine.status(on_storage), Status::unknown) << number;
  }
}

}  // namespace
}  // namespace surveyd::test
