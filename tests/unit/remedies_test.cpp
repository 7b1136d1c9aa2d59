// Why a claim is what it is, and what helps: in a container, in a service and on a plain host.

#include <cerrno>
#include <functional>

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "support/answers.hpp"
#include "support/fake_cgroup_host.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

constexpr std::uint64_t net_admin = std::uint64_t{1} << CAP_NET_ADMIN;
constexpr const char* service_path = "0::/system.slice/a.service\n";
constexpr const char* subtree_control = "/sys/fs/cgroup/cgroup.subtree_control";

void in_container(Machine& machine) {
  machine.set_namespace("pid", 4026532000);
  machine.host.add_file("/run/.containerenv", "");
}

void in_service(Machine& machine) {
  machine.host.add_file("/proc/self/cgroup", service_path);
  machine.add_cgroup("system.slice/a.service", "cpu pids\n");
}

void on_debian(Machine& machine) {
  machine.host.add_file("/etc/os-release", "ID=debian\n");
}

void without_net_admin(Machine& machine, bool in_bounding) {
  machine.host.identity.effective_capabilities = ~net_admin;
  machine.host.identity.permitted_capabilities = ~net_admin;
  if (!in_bounding) machine.host.identity.bounding_capabilities = ~net_admin;
}

void with_hierarchy(Machine& machine, const char* mountinfo) {
  machine.host.mounts[cgroup_root] = {tmpfs_magic, false};
  machine.host.add_file("/proc/self/mountinfo", mountinfo);
  machine.host.nodes.erase(subtree_control);
}

constexpr const char* hybrid =
    "1 2 0:30 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n"
    "3 2 0:31 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
constexpr const char* v1 = "1 2 0:30 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n";

struct Case {
  const char* why;
  const char* id;
  std::function<void(Machine&)> arrange;
  Answer answer;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    Machine machine;
    one.arrange(machine);
    expect_answer(machine.ask(one.id), one.answer);
  }
}

TEST(Claims, AboutTheProcessSayWhyAndWhatHelps) {
  using enum ReasonCode;
  expect_all({
      {"root",
       "is_root",
       [](Machine& m) { m.host.add_file("/proc/self/uid_map", "  0  0 4294967295\n"); },
       {Status::yes, available}},
      {"root of a user namespace",
       "is_root",
       [](Machine& m) { m.host.add_file("/proc/self/uid_map", "0 1000 1\n"); },
       {Status::yes, namespaced_root, "user namespace"}},
      {"a user", "is_root", [](Machine& m) { m.become(1000); }, {Status::no, not_root, "1000"}},
      {"at the root", "is_nested", [](Machine&) {}, {Status::no, at_root_cgroup}},
      {"in a service", "is_nested", in_service, {Status::yes, in_cgroup}},
      {"v1",
       "is_nested",
       [](Machine& m) { m.host.add_file("/proc/self/cgroup", "1:pids:/\n"); },
       {Status::no, no_cgroup2_path}},
      {"v1",
       "cgroup_parent",
       [](Machine& m) { m.host.add_file("/proc/self/cgroup", "1:pids:/\n"); },
       {Status::no, no_cgroup2_path}},
      {"masked",
       "cgroup_parent",
       [](Machine& m) { m.host.errors["/proc/self/cgroup"] = EACCES; },
       {Status::unknown, permission_denied, "EACCES"}},
      {"at the root", "cgroup_parent", [](Machine&) {}, {Status::no, at_root_cgroup}},
      {"in a service", "cgroup_parent", in_service, {Status::yes, in_cgroup}},
      {"no descriptors",
       "is_nested",
       [](Machine& m) { m.host.errors["/proc/self/cgroup"] = EMFILE; },
       {Status::unknown, out_of_resources}},
      {"masked",
       "is_nested",
       [](Machine& m) { m.host.errors["/proc/self/cgroup"] = ENOENT; },
       {Status::unknown, unreadable}},
      {"host", "container", [](Machine&) {}, {Status::no, initial_namespaces}},
      {"container", "container", in_container, {Status::yes, own_namespaces, "pid"}},
      {"filter",
       "container",
       [](Machine& m) { m.host.errors["/proc/self/ns/pid"] = ENOSYS; },
       {Status::unknown, call_missing}},
  });
}

TEST(Claims, AboutCapabilitiesNameTheSetThatLacksThem) {
  using enum ReasonCode;
  constexpr const char* id = "has_cap_net_admin";
  expect_all({
      {"held", id, [](Machine&) {}, {Status::yes, available}},
      {"bounding, container",
       id,
       [](Machine& m) { in_container(m), without_net_admin(m, false); },
       {Status::no, capability_missing, "bounding set", "podman run --cap-add=NET_ADMIN"}},
      {"permitted, container",
       id,
       [](Machine& m) { in_container(m), without_net_admin(m, true); },
       {Status::no, capability_missing, "permitted set", "Run as root in the container"}},
      {"bounding, service",
       id,
       [](Machine& m) { in_service(m), without_net_admin(m, false); },
       {Status::no, capability_missing, "bounding set", "the service CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN\\nAmbientCapabilities=CAP_NET_ADMIN"}},
      {"permitted, service",
       id,
       [](Machine& m) { in_service(m), without_net_admin(m, true); },
       {Status::no, capability_missing, "permitted set", "Give",
        "[Service]\\nAmbientCapabilities=CAP_NET_ADMIN"}},
      {"bounding, host",
       id,
       [](Machine& m) { without_net_admin(m, false); },
       {Status::no, capability_missing, "bounding set", "bounding set"}},
      {"permitted, host",
       id,
       [](Machine& m) { without_net_admin(m, true); },
       {Status::no, capability_missing, "permitted set", "Run as root"}},
      {"effective, host",
       id,
       [](Machine& m) { m.host.identity.effective_capabilities = ~net_admin; },
       {Status::no, capability_missing, "in the permitted one", "raise it"}},
      {"to mount, service",
       "overlayfs_rootfs_available",
       [](Machine& m) { in_service(m), m.host.identity.effective_capabilities = 0; },
       {Status::no, capability_missing, "CAP_SYS_ADMIN", "Give",
        "AmbientCapabilities=CAP_SYS_ADMIN"}},
  });
}

TEST(Claims, AboutTheTunDeviceSayHowToGetIt) {
  using enum ReasonCode;
  constexpr const char* id = "tun_device_available";
  constexpr const char* tun = "/dev/net/tun";
  expect_all({
      {"there", id, [](Machine&) {}, {Status::yes, available}},
      {"another device",
       id,
       [](Machine& m) { m.host.add_device("/dev/net/tun", 10, 229, 0666); },
       {Status::yes, not_the_device, "not the TUN", "Replace",
        "mknod -m 0666 /dev/net/tun c 10 200"}},
      {"another device, container",
       id,
       [](Machine& m) { in_container(m), m.host.add_file("/dev/net/tun", "", 0666); },
       {Status::yes, not_the_device, "not the TUN", "--device /dev/net/tun"}},
      {"none",
       id,
       [](Machine& m) { m.host.nodes.erase("/dev/net/tun"); },
       {Status::no, device_missing, "ENOENT", "module tun", "mknod -m 0666 /dev/net/tun c 10 200"}},
      {"none, container",
       id,
       [](Machine& m) { in_container(m), m.host.nodes.erase("/dev/net/tun"); },
       {Status::no, device_missing, "ENOENT", "podman run --device /dev/net/tun"}},
      {"no driver",
       id,
       [=](Machine& m) { m.host.errors[tun] = ENODEV; },
       {Status::no, device_without_driver, "ENODEV", "module tun", "modprobe tun"}},
      {"closed",
       id,
       [](Machine& m) { m.become(1000), m.host.add_device("/dev/net/tun", 10, 200, 0600); },
       {Status::no, device_denied, "EACCES", "every user", "chmod 0666 /dev/net/tun"}},
      {"closed, nodev",
       id,
       [](Machine& m) {
         m.become(1000), m.host.add_device("/dev/net/tun", 10, 200, 0600);
         m.host.mounts["/dev/net/tun"] = {.magic = tmpfs_magic, .no_devices = true};
       },
       {Status::no, device_denied, "EACCES", "without nodev"}},
      {"denied, service",
       id,
       [=](Machine& m) { in_service(m), m.host.errors[tun] = EPERM; },
       {Status::no, device_denied, "EPERM", "Allow", "DeviceAllow=/dev/net/tun rw"}},
      {"denied, host",
       id,
       [=](Machine& m) { m.host.errors[tun] = EPERM; },
       {Status::no, device_denied, "EPERM"}},
      {"no descriptors",
       id,
       [=](Machine& m) { m.host.errors[tun] = EMFILE; },
       {Status::unknown, out_of_resources}},
  });
}

TEST(Claims, AboutProgramsNameTheirPackage) {
  using enum ReasonCode;
  constexpr const char* fuse = "fuse_overlayfs_rootfs_available";
  const auto no_pasta = [](Machine& m) { m.host.nodes.erase("/usr/bin/pasta"); };
  const auto no_fuse_overlayfs = [](Machine& m) { m.host.nodes.erase("/usr/bin/fuse-overlayfs"); };
  const auto as_user = [](Machine& m) {
    m.become(1000);
    m.host.nodes["/usr/bin/fusermount3"].mode = 04755;
  };
  expect_all({
      {"there", "pasta_available", [](Machine&) {}, {Status::yes, available}},
      {"debian",
       "pasta_available",
       [=](Machine& m) { on_debian(m), no_pasta(m); },
       {Status::no, program_missing, "PATH", "passt", "apt-get install -y passt"}},
      {"elsewhere",
       "pasta_available",
       no_pasta,
       {Status::no, program_missing, "PATH", "on Debian the package passt"}},
      {"container",
       "pasta_available",
       [=](Machine& m) { on_debian(m), in_container(m), no_pasta(m); },
       {Status::no, program_missing, "PATH", "image of the container"}},
      {"no memory",
       "pasta_available",
       [](Machine& m) { m.host.errors["/usr/bin/pasta"] = ENOMEM; },
       {Status::unknown, out_of_resources}},
      {"as root", fuse, [](Machine&) {}, {Status::yes, available}},
      {"no program",
       fuse,
       [=](Machine& m) { on_debian(m), no_fuse_overlayfs(m); },
       {Status::no, program_missing, "not on PATH", "fuse-overlayfs",
        "apt-get install -y fuse-overlayfs"}},
      {"no programs at all",
       fuse,
       [=](Machine& m) {
         on_debian(m), no_fuse_overlayfs(m);
         m.host.nodes.erase("/usr/bin/fusermount3"), m.host.nodes.erase("/usr/bin/fusermount");
       },
       {Status::no, program_missing, "neither", "fuse3",
        "apt-get install -y fuse-overlayfs fuse3"}},
      {"no device",
       fuse,
       [](Machine& m) { m.host.nodes.erase("/dev/fuse"); },
       {Status::no, device_missing, "ENOENT", "module fuse", "mknod -m 0666 /dev/fuse c 10 229"}},
      {"for a user", fuse, as_user, {Status::yes, available}},
      {"for a user, by file capabilities",
       fuse,
       [](Machine& m) {
         m.become(1000);
         m.host.attributes[{"/usr/bin/fusermount3", "security.capability"}] = "x";
       },
       {Status::yes, available}},
      {"for a user, not set-user-ID",
       fuse,
       [](Machine& m) { m.become(1000); },
       {Status::yes, program_unprivileged, "not set-user-ID", "Make it", "chmod u+s"}},
      {"for a user, nosuid",
       fuse,
       [=](Machine& m) {
         as_user(m);
         m.host.mounts["/usr"] = {.magic = 0xef53, .read_only = false, .no_suid = true};
       },
       {Status::yes, program_unprivileged, "nosuid"}},
      {"for a user, no_new_privileges",
       fuse,
       [=](Machine& m) { as_user(m), m.host.identity.no_new_privileges = true; },
       {Status::yes, program_unprivileged, "no_new_privileges"}},
      {"for a user, no_new_privileges of a service",
       fuse,
       [=](Machine& m) { as_user(m), in_service(m), m.host.identity.no_new_privileges = true; },
       {Status::yes, program_unprivileged, "no_new_privileges", "service", "NoNewPrivileges=no"}},
  });
}

TEST(Claims, AboutTheHierarchySayHowToGetTheOther) {
  using enum ReasonCode;
  const auto with_systemd = [](Machine& m) { m.host.add_directory("/run/systemd/system"); };
  for (const char* id : {"cgroup_version", "cgroup_host_placement", "cgroup_scope_placement",
                         "cgroup_delegation", "can_write_cgroup_root"})
    expect_all({
        {"hybrid, systemd",
         id,
         [=](Machine& m) { with_systemd(m), with_hierarchy(m, hybrid); },
         {Status::no, hybrid_hierarchy, "", "systemd.unified_cgroup_hierarchy=1"}},
        {"hybrid, systemd and grub",
         id,
         [=](Machine& m) {
           with_systemd(m), with_hierarchy(m, hybrid), on_debian(m);
           m.host.add_file("/etc/default/grub", "");
         },
         {Status::no, hybrid_hierarchy, "", "reboot", "update-grub"}},
        {"hybrid, no systemd",
         id,
         [](Machine& m) { with_hierarchy(m, hybrid); },
         {Status::no, hybrid_hierarchy, "", "cgroup_no_v1=all"}},
        {"v1, container",
         id,
         [](Machine& m) { in_container(m), with_hierarchy(m, v1); },
         {Status::no, cgroup_v1, "", "Boot the host"}},
        {"none",
         id,
         [](Machine& m) { with_hierarchy(m, "1 2 0:3 / / rw - ext4 a rw\n"); },
         {Status::no, cgroup_not_mounted, "", "Mount", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"}},
        {"none, container",
         id,
         [](Machine& m) { in_container(m), with_hierarchy(m, "1 2 0:3 / / rw - ext4 a rw\n"); },
         {Status::no, cgroup_not_mounted}},
    });
}

TEST(CgroupVersion, SaysWhichControllersAreLeftOnAHybridHost) {
  Machine machine;
  with_hierarchy(machine, hybrid);
  machine.host.add_file("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb misc\n");
  const Finding finding = machine.ask("cgroup_version");
  EXPECT_EQ(finding.evidence.back().source, "/sys/fs/cgroup/unified/cgroup.controllers");
  EXPECT_EQ(finding.evidence.back().value, "hugetlb misc");
}

TEST(Claims, AboutPlacesInTheTreeSayWhatRefuses) {
  using enum ReasonCode;
  const auto mount_read_only = [](Machine& m) { m.mount_cgroup2("/", true); };
  const auto private_namespace = [](Machine& m) {
    m.host.add_file("/sys/fs/cgroup/cgroup.type", "domain\n");
  };
  const auto foreign_service = [](Machine& m) { m.become(1000), in_service(m); };
  for (const char* id : {"can_write_cgroup_root", "cgroup_host_placement"})
    expect_all({
        {"writable", id, [](Machine&) {}, {Status::yes, available}},
        {"read-only",
         id,
         mount_read_only,
         {Status::no, ReasonCode::read_only, "", "read-write", "mount -o remount,rw"}},
        {"read-only, container",
         id,
         [=](Machine& m) { in_container(m), mount_read_only(m); },
         {Status::no, ReasonCode::read_only, "", "unmask=/sys/fs/cgroup"}},
        {"read-only, service",
         id,
         [=](Machine& m) { in_service(m), mount_read_only(m); },
         {Status::no, ReasonCode::read_only, "", "service", "ProtectControlGroups=no"}},
        {"user",
         id,
         [](Machine& m) { m.become(1000); },
         {Status::no, permission_denied, "EACCES", "Run as root"}},
        {"user, container",
         id,
         [](Machine& m) { in_container(m), m.become(1000); },
         {Status::no, permission_denied, "EACCES"}},
        {"no memory",
         id,
         [](Machine& m) { m.host.errors[subtree_control] = ENOMEM; },
         {Status::unknown, out_of_resources}},
    });
  constexpr const char* host = "cgroup_host_placement";
  constexpr const char* scope = "cgroup_scope_placement";
  expect_all({
      {"no controllers",
       host,
       [](Machine& m) { m.add_cgroup("", "misc\n"); },
       {Status::no, no_container_controllers}},
      {"private, where the scope does",
       host,
       private_namespace,
       {Status::no, private_cgroup_namespace}},
      {"private, where nothing does",
       host,
       [=](Machine& m) { in_container(m), private_namespace(m), mount_read_only(m); },
       {Status::no, private_cgroup_namespace, "", "--cgroupns=host"}},
      {"own cgroup", scope, in_service, {Status::yes, available}},
      {"root", scope, [](Machine&) {}, {Status::no, at_root_cgroup}},
      {"out of sight",
       scope,
       [](Machine& m) { m.host.add_file("/proc/self/cgroup", "0::/../x\n"); },
       {Status::no, outside_namespace}},
      {"v1 alone in /proc",
       scope,
       [](Machine& m) { m.host.add_file("/proc/self/cgroup", "1:a:/\n"); },
       {Status::no, no_cgroup2_path}},
      {"not delegated",
       scope,
       foreign_service,
       {Status::no, not_delegated, "EACCES", "delegate",
        "'[Service]\\nDelegate=yes\\n' > '/etc/systemd/system/a.service.d/50-delegate.conf'"}},
      {"not delegated, of a session",
       scope,
       [](Machine& m) {
         m.become(1000);
         m.host.add_file("/proc/self/cgroup", "0::/user.slice/session-1.scope\n");
         m.add_cgroup("user.slice/session-1.scope", "pids\n");
       },
       {Status::no, not_delegated, "EACCES", "systemd-run --scope -p Delegate=yes"}},
      {"not delegated, of nobody",
       scope,
       [](Machine& m) {
         m.become(1000);
         m.host.add_file("/proc/self/cgroup", "0::/a\n");
         m.add_cgroup("a", "pids\n");
       },
       {Status::no, not_delegated, "EACCES"}},
      {"masked mounts",
       scope,
       [](Machine& m) { in_service(m), m.host.errors["/proc/self/mountinfo"] = ENOENT; },
       {Status::unknown, unreadable}},
  });
}

Finding delegation_of(const FakeCgroupHost& host) {
  Subject subject{host, {}};
  for (const Probe& probe : catalogue())
    if (probe.id == "cgroup_delegation") return run_probe(probe, subject);
  throw std::invalid_argument("no such probe");
}

TEST(CgroupDelegation, IsMadeByEnsure) {
  const FakeCgroupHost host;
  expect_answer(delegation_of(host), {Status::no, ReasonCode::not_ensured, "has not been made",
                                      "POST /cgroups/ensure", "/cgroups/ensure"});
}

TEST(CgroupDelegation, NamesWhatIsNotDelegated) {
  FakeCgroupHost host{{"cpu", "pids"}};
  host.make_cgroup("/zlayer/containers");
  host.delegate("/", {"cpu", "pids"});
  host.delegate("/zlayer", {"cpu", "pids"});
  host.delegate("/zlayer/containers", {"cpu"});
  host.mark("/zlayer/containers", "user.delegate", "1");
  const Finding finding = delegation_of(host);
  expect_answer(finding, {Status::no, ReasonCode::controllers_missing, "pids",
                          "POST /cgroups/ensure", "/cgroups/ensure"});
  EXPECT_EQ(finding.value, "cpu");
  bool marked = false;
  for (const Evidence& one : finding.evidence)
    marked = marked || (one.source.find("user.delegate") != std::string::npos && one.value == "1");
  EXPECT_TRUE(marked);
  host.delegate("/zlayer/containers", {"cpu", "pids"});
  expect_answer(delegation_of(host), {Status::yes, ReasonCode::available});
}

TEST(CgroupDelegation, IsNotInAThreadedParent) {
  FakeCgroupHost host;
  host.make_cgroup("/zlayer/containers");
  host.make_threaded("/zlayer/containers");
  expect_answer(delegation_of(host), {Status::no, ReasonCode::threaded, "threaded"});
}

TEST(Remedies, TakeAMarkerForAContainerOnlyBesideAnotherSign) {
  Machine machine;
  machine.host.add_file("/.dockerenv", "");
  without_net_admin(machine, false);
  machine.host.add_directory("/");
  EXPECT_EQ(machine.ask("has_cap_net_admin").remedy->text.find("docker"), std::string::npos);
  machine.host.mounts["/"] = {0x794c7630, false};
  EXPECT_NE(machine.ask("has_cap_net_admin").remedy->text.find("docker run --cap-add=NET_ADMIN"),
            std::string::npos);
}

TEST(Remedies, PutNoForeignNameIntoACommand) {
  Machine machine;
  machine.host.add_file("/proc/self/cgroup", "0::/system.slice/a';reboot;'.service\n");
  without_net_admin(machine, true);
  EXPECT_EQ(machine.ask("has_cap_net_admin").remedy->command, "");
}

}  // namespace
}  // namespace surveyd::test
