// nftables, bridge, veth, vxlan, wireguard: what the kernel has, or can load.

#include <cerrno>

#include <gtest/gtest.h>

#include "parse/kernel.hpp"
#include "support/answers.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr const char* built_in = "/lib/modules/6.1.0-test/modules.builtin";
constexpr const char* loadable = "/lib/modules/6.1.0-test/modules.dep";
constexpr const char* modules_disabled = "/proc/sys/kernel/modules_disabled";

struct ModuleRow {
  const char* id;
  std::string module;
  const char* path;
};

const ModuleRow modules[] = {{"nftables", "nf_tables", "net/netfilter/nf_tables.ko"},
                             {"bridge", "bridge", "net/bridge/bridge.ko.xz"},
                             {"veth", "veth", "drivers/net/veth.ko.zst"},
                             {"vxlan", "vxlan", "drivers/net/vxlan/vxlan.ko.gz"},
                             {"wireguard", "wireguard", "drivers/net/wireguard/wireguard.ko"}};

// Modules of the running kernel, none of them ours.
struct BareMachine : Machine {
  BareMachine() {
    host.add_file(built_in, "kernel/fs/ext4/ext4.ko\n");
    host.add_file(loadable, "kernel/net/tipc/tipc.ko: kernel/net/bridge/bridge.ko\n");
    host.add_file(modules_disabled, "0\n");
  }
};

TEST(KernelModule, IsThereWhenItIsBuiltIn) {
  for (const ModuleRow& row : modules)
    expect_answer(Machine{}.ask(row.id), {Status::yes, ReasonCode::available, "the kernel has"});
}

TEST(KernelModule, IsThereWhenItIsLoaded) {
  for (const ModuleRow& row : modules) {
    BareMachine machine;
    machine.host.add_directory("/sys/module/" + row.module);
    expect_answer(machine.ask(row.id), {Status::yes, ReasonCode::available, "the kernel has"});
  }
}

TEST(KernelModule, IsLoadableWhenItIsAFileForThisKernel) {
  for (const ModuleRow& row : modules) {
    BareMachine machine;
    machine.host.add_file(loadable, std::string{"kernel/"} + row.path + ": kernel/lib/crc.ko\n");
    expect_answer(machine.ask(row.id), {Status::yes, ReasonCode::loadable, "CAP_NET_ADMIN"});
  }
}

TEST(KernelModule, IsNotLoadedAnyMoreWhenThatIsTurnedOff) {
  for (const ModuleRow& row : modules) {
    BareMachine machine;
    machine.host.add_file(loadable, std::string{"kernel/"} + row.path + ":\n");
    machine.host.add_file(modules_disabled, "1\n");
    expect_answer(machine.ask(row.id),
                  {Status::no, ReasonCode::disabled_by_sysctl, "kernel.modules_disabled is 1",
                   "boot again", "> /etc/modules-load.d/" + row.module + ".conf"});
  }
}

TEST(KernelModule, IsInDoubtWhereNobodySaysWhetherModulesAreLoaded) {
  BareMachine machine;
  machine.host.add_file(loadable, "kernel/drivers/net/veth.ko:\n");
  machine.host.nodes.erase(modules_disabled);
  expect_answer(machine.ask("veth"), {Status::unknown, ReasonCode::unreadable, modules_disabled});
  machine.host.errors[modules_disabled] = EMFILE;
  expect_answer(machine.ask("veth"), {Status::unknown, ReasonCode::out_of_resources});
}

TEST(KernelModule, IsLackingOnlyWhenBothListsAreRead) {
  for (const ModuleRow& row : modules)
    expect_answer(BareMachine{}.ask(row.id),
                  {Status::no, ReasonCode::kernel_lacks, "built in or as"});
}

TEST(KernelModule, IsLackingBecauseTheKernelIsTooOld) {
  BareMachine machine;
  machine.host.release = "5.4.0-1";
  machine.host.add_file("/lib/modules/5.4.0-1/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  machine.host.add_file("/lib/modules/5.4.0-1/modules.dep", "");
  expect_answer(machine.ask("wireguard"), {Status::no, ReasonCode::kernel_too_old, "Linux 5.6"});
  expect_answer(machine.ask("veth"), {Status::no, ReasonCode::kernel_lacks});
}

struct DoubtRow {
  int number;
  ReasonCode code;
};

constexpr DoubtRow doubts[] = {{ENOENT, ReasonCode::unreadable},
                               {EACCES, ReasonCode::permission_denied},
                               {EPERM, ReasonCode::permission_denied},
                               {EMFILE, ReasonCode::out_of_resources},
                               {ENOMEM, ReasonCode::out_of_resources}};

TEST(KernelModule, IsInDoubtWhereOneOfTheListsIsOutOfSight) {
  for (const char* file : {built_in, loadable}) {
    for (const auto& [number, code] : doubts) {
      BareMachine machine;
      machine.host.errors[file] = number;
      for (const ModuleRow& row : modules)
        expect_answer(machine.ask(row.id), {Status::unknown, code, "a verification finds out"});
    }
  }
}

TEST(KernelModule, IsInDoubtWhereSysIsMasked) {
  BareMachine machine;
  machine.host.errors["/sys/module/bridge"] = EACCES;
  expect_answer(machine.ask("bridge"), {Status::unknown, ReasonCode::permission_denied});
}

TEST(KernelModule, NamesAMishapOfOursBeforeAMissingFile) {
  BareMachine machine;
  machine.host.nodes.erase(built_in);
  machine.host.errors[loadable] = EMFILE;
  expect_answer(machine.ask("veth"), {Status::unknown, ReasonCode::out_of_resources, loadable});
}

TEST(KernelModule, IsNoFileInItsPlace) {
  BareMachine machine;
  machine.host.add_file("/sys/module/veth", "");
  expect_answer(machine.ask("veth"), {Status::no, ReasonCode::kernel_lacks});
}

using Names = std::vector<std::string>;

TEST(ModuleNames, AreTheFilesBeforeTheColons) {
  const std::pair<const char*, Names> rows[] = {
      {"", {}},
      {"\n\n", {}},
      {"kernel/net/bridge/bridge.ko", {"bridge"}},
      {"kernel/net/bridge/bridge.ko\r\n", {"bridge"}},
      {"veth.ko:\n", {"veth"}},
      {"updates/dkms/wireguard.ko.zst: a/udp_tunnel.ko.zst b/x.ko\n", {"wireguard"}},
      {"a/one.ko.xz:\nb/two.ko.gz: a/one.ko.xz\n", {"one", "two"}},
      {"net/ip-set-hash.ko:\n", {"ip_set_hash"}},
      {"net-dir/nf_tables.ko:\n", {"nf_tables"}},
      {"a.ko/b:\n", {}},
      {"kernel/.ko:\n", {}},
      {"kernel/bridge.o:\n", {}},
      {"kernel/bridge.kong:\n", {}},
      {"kernel/bridge:\n", {}},
      {"kernel/bri", {}},
      {": kernel/bridge.ko\n", {}}};
  for (const auto& [text, names] : rows) EXPECT_EQ(parse::module_names(text), names) << text;
}

}  // namespace
}  // namespace surveyd::test
