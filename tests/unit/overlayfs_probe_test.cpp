#include <cerrno>

#include <gtest/gtest.h>
#include <linux/capability.h>

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

}  // namespace
}  // namespace surveyd::test
