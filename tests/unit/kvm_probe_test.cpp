#include <cerrno>

#include <gtest/gtest.h>

#include "parse/accounts.hpp"
#include "parse/kernel.hpp"
#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* device = "/dev/kvm";
constexpr const char* modalias = "/sys/devices/system/cpu/modalias";
constexpr const char* intel = "cpu:type:x86,ven0000fam0006mod008F:feature:,0000,0085,00E0\n";
constexpr const char* amd = "cpu:type:x86,ven0002fam0019mod0011:feature:,0000,00C2\n";
constexpr const char* neither = "cpu:type:x86,ven0002fam0019mod0011:feature:,0000,0850,1C2\n";

Finding ask(const Machine& machine) {
  return machine.ask("kvm");
}

// The driver is a module that is not loaded, and the processor could.
struct WithoutNode : Machine {
  explicit WithoutNode(const char* processor = intel) {
    host.nodes.erase(device);
    host.add_file("/proc/misc", "200 tun\n229 fuse\n");
    host.add_file(modalias, processor);
    host.add_file("/lib/modules/6.1.0-test/modules.dep",
                  "kernel/arch/x86/kvm/kvm-intel.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz\n"
                  "kernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz\n");
  }
};

void enter_container(Machine& machine) {
  machine.set_namespace("pid", 4026532000);
}

struct ClosedTo : Machine {
  ClosedTo(unsigned uid, unsigned mode, unsigned group = 104) {
    host.add_device(device, 10, 232, mode);
    host.nodes[device].info.group = group;
    host.add_file("/etc/group", "root:x:0:\nkvm:x:104:qemu\n");
    host.add_file("/etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
    become(uid);
  }
};

TEST(Kvm, IsThereWhenItOpensAndSaysItsVersion) {
  const Finding finding = ask(Machine{});
  expect_answer(finding, {Status::yes, ReasonCode::available, "API version 12"});
  EXPECT_EQ(finding.value, "12");
}

TEST(Kvm, IsToBeLoadedByTheModuleOfTheProcessor) {
  expect_answer(ask(WithoutNode{intel}), {Status::no, ReasonCode::device_missing, "ENOENT",
                                          "kvm_intel", "modprobe kvm_intel"});
  expect_answer(ask(WithoutNode{amd}),
                {Status::no, ReasonCode::device_missing, "ENOENT", "kvm_amd", "modprobe kvm_amd"});
}

TEST(Kvm, IsBeyondHelpWhereTheProcessorHasNone) {
  expect_answer(ask(WithoutNode{neither}),
                {Status::no, ReasonCode::device_missing, "firmware has it off"});
}

TEST(Kvm, HasNoRemedyThatModprobeWouldNotFind) {
  WithoutNode machine{};
  machine.host.nodes.erase("/lib/modules/6.1.0-test/modules.dep");
  expect_answer(ask(machine), {Status::no, ReasonCode::device_missing});
}

TEST(Kvm, HasNoRemedyWhereTheProcessorIsOutOfSight) {
  for (const char* masked : {modalias, "/proc/misc"}) {
    WithoutNode machine{};
    machine.host.errors[masked] = EACCES;
    expect_answer(ask(machine), {Status::no, ReasonCode::device_missing});
  }
}

TEST(Kvm, LacksOnlyTheNodeWhereTheDriverIsThere) {
  WithoutNode machine{};
  machine.host.add_file("/proc/misc", "200 tun\n232 kvm\n");
  expect_answer(ask(machine), {Status::no, ReasonCode::device_missing, "has the driver",
                               "Make the device node", "mknod -m 0660 /dev/kvm c 10 232"});
}

TEST(Kvm, IsPassedToAContainer) {
  WithoutNode machine{};
  enter_container(machine);
  expect_answer(ask(machine), {Status::no, ReasonCode::device_missing, "",
                               "kvm_intel on the host, and start the container with --device",
                               "modprobe kvm_intel"});
  machine.host.add_file("/proc/misc", "232 kvm\n");
  expect_answer(ask(machine), {Status::no, ReasonCode::device_missing, "", "--device /dev/kvm"});
  machine.host.errors["/proc/misc"] = ENOENT;
  expect_answer(ask(machine), {Status::no, ReasonCode::device_missing, "", "--device /dev/kvm"});
}

TEST(Kvm, IsANodeWithoutADriver) {
  for (const int number : {ENODEV, ENXIO}) {
    WithoutNode machine{};
    machine.host.errors[device] = number;
    expect_answer(ask(machine), {Status::no, ReasonCode::device_without_driver, "",
                                 "Load the module kvm_intel", "modprobe kvm_intel"});
    enter_container(machine);
    expect_answer(ask(machine), {Status::no, ReasonCode::device_without_driver, "",
                                 "Load the module kvm_intel on the host", "modprobe kvm_intel"});
  }
}

TEST(Kvm, IsOpenToAGroupThatTheUserIsNotIn) {
  expect_answer(ask(ClosedTo{1000, 0660}), {Status::no, ReasonCode::device_denied, "EACCES",
                                            "Add alice to the group kvm", "usermod -aG kvm alice"});
}

TEST(Kvm, HasNoRemedyForNamesThatAreNotKnown) {
  expect_answer(ask(ClosedTo{1001, 0660}), {Status::no, ReasonCode::device_denied});
  expect_answer(ask(ClosedTo{1000, 0660, 999}), {Status::no, ReasonCode::device_denied});
}

TEST(Kvm, IsOpenToNobody) {
  expect_answer(ask(ClosedTo{1000, 0600}), {Status::no, ReasonCode::device_denied, "EACCES",
                                            "Open the node", "chmod 0666 /dev/kvm"});
}

TEST(Kvm, IsClosedToAUserOfAContainer) {
  ClosedTo machine{1000, 0660};
  enter_container(machine);
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied, "", "--group-add 104"});
  machine.host.nodes[device].info.group = 65534;
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied, "", "keep-groups"});
  machine.host.nodes[device].mode = 0600;
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied});
}

TEST(Kvm, IsClosedToRootByOtherThanItsMode) {
  Machine machine;
  machine.host.errors[device] = EACCES;
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied});
}

TEST(Kvm, IsForbiddenByTheDeviceCgroup) {
  Machine machine;
  machine.host.errors[device] = EPERM;
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied, "EPERM"});
  machine.host.add_file("/proc/self/cgroup", "0::/system.slice/surveyd.service\n");
  expect_answer(ask(machine), {Status::no, ReasonCode::device_denied, "EPERM", "Allow the service",
                               "DeviceAllow=/dev/kvm rw\\nPrivateDevices=no"});
  enter_container(machine);
  expect_answer(ask(machine),
                {Status::no, ReasonCode::device_denied, "EPERM", "--device /dev/kvm"});
}

TEST(Kvm, IsNotWhateverElseHasItsName) {
  Machine machine;
  machine.host.add_file(device, "", 0666);
  expect_answer(ask(machine), {Status::no, ReasonCode::not_the_device, "not a character device"});
  machine.host.add_device(device, 10, 229, 0666);
  expect_answer(ask(machine), {Status::no, ReasonCode::not_the_device, "10:229"});
  machine.host.add_device(device, 1, 232, 0666);
  expect_answer(ask(machine), {Status::no, ReasonCode::not_the_device, "1:232"});
  for (const int number : {EISDIR, ELOOP}) {
    machine.host.errors[device] = number;
    expect_answer(ask(machine), {Status::no, ReasonCode::not_the_device});
  }
}

TEST(Kvm, HasOneApiVersionOnly) {
  for (const int version : {0, 11, 13}) {
    Machine machine;
    machine.host.kvm_version = version;
    expect_answer(ask(machine), {Status::no, ReasonCode::not_the_device, "API version"});
  }
}

TEST(Kvm, IsUnknownWhenOnlyWeFailed) {
  for (const int number : {EMFILE, ENFILE, ENOMEM, EAGAIN}) {
    Machine machine;
    machine.host.errors[device] = number;
    expect_answer(ask(machine), {Status::unknown, ReasonCode::out_of_resources});
  }
  for (const int number : {EIO, EBUSY, EINTR}) {
    Machine machine;
    machine.host.errors[device] = number;
    expect_answer(ask(machine), {Status::unknown, ReasonCode::unreadable});
  }
}

TEST(CpuFeature, IsAWholeNumberAmongTheFeatures) {
  EXPECT_TRUE(parse::has_cpu_feature(intel, 0x85));
  EXPECT_TRUE(parse::has_cpu_feature(amd, 0xC2));
  EXPECT_TRUE(parse::has_cpu_feature("cpu:type:x86,:feature:,0085", 0x85));
  for (const char* text :
       {"", "cpu:type:x86,ven0085fam0085mod0085:feature:,\n", neither, amd,
        "cpu:type:x86:feature:,085x,0 85,,", "0085,", "cpu:type:aarch64:feature:,"})
    EXPECT_FALSE(parse::has_cpu_feature(text, 0x85)) << text;
}

TEST(MiscDevice, IsListedByNumberAndName) {
  EXPECT_TRUE(parse::lists_misc_device(" 59 memory_bandwidth\n232 kvm\n", 232, "kvm"));
  EXPECT_TRUE(parse::lists_misc_device(" 32 kvm", 32, "kvm"));
  for (const char* text : {"", "232 kvm_pvm\n", "23 kvm\n", "2320 kvm\n", "232\n", "kvm 232\n",
                           "232 kvm more\n", "232kvm\n"})
    EXPECT_FALSE(parse::lists_misc_device(text, 232, "kvm")) << text;
}

TEST(GroupName, IsTheFirstWithThatNumber) {
  EXPECT_EQ(parse::group_name("root:x:0:\nkvm:x:104:qemu,alice\nother:x:104:\n", 104), "kvm");
  for (const char* text : {"", "kvm:104:x:\n", ":x:104:\n", "kvm:x:1040:\n", "kvm:x:\n"})
    EXPECT_EQ(parse::group_name(text, 104), std::nullopt) << text;
}

}  // namespace
}  // namespace surveyd::test
