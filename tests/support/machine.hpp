#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <surveyd/probe.hpp>

#include "probes/subject.hpp"
#include "support/fixture_host.hpp"

namespace surveyd::test {

inline constexpr const char* cgroup_root = "/sys/fs/cgroup";

/// Bare metal with cgroup v2, root, TUN, FUSE and every helper. Tests break what they are about.
struct Machine {
  FixtureHost host;

  Machine() {
    set_namespace("cgroup", 0xEFFFFFFB);
    set_namespace("pid", 0xEFFFFFFC);
    set_namespace("user", 0xEFFFFFFD);
    host.add_file("/proc/self/cgroup", "0::/\n");
    host.add_file("/proc/filesystems", "nodev\tsysfs\nnodev\toverlay\n\text4\n");
    mount_cgroup2("/");
    add_cgroup("", "cpuset cpu io memory pids\n");
    host.add_device("/dev/net/tun", 10, 200, 0666);
    host.add_device("/dev/fuse", 10, 229, 0666);
    host.add_device("/dev/kvm", 10, 232, 0660);
    host.add_file("/lib/modules/" + host.release + "/modules.builtin",
                  "kernel/net/netfilter/nf_tables.ko\nkernel/net/bridge/bridge.ko\n"
                  "kernel/drivers/net/veth.ko\nkernel/drivers/net/vxlan/vxlan.ko\n"
                  "kernel/drivers/net/wireguard/wireguard.ko\n");
    for (const char* program : {"pasta", "fuse-overlayfs", "fusermount3", "fusermount"})
      add_program(std::string{"/usr/bin/"} + program);
    host.variables["PATH"] = "/usr/local/bin:/usr/bin";
    add_kernel_settings();
    add_security_modules();
    add_subordinate_ids();
    host.add_directory("/var/lib");
    host.mounts["/"] = {.magic = 0xEF53};
  }

  void set_sysctl(std::string name, const std::string& value) {
    std::replace(name.begin(), name.end(), '.', '/');
    host.add_file("/proc/sys/" + name, value + "\n");
  }

  void add_kernel_settings() {
    set_sysctl("kernel.cap_last_cap", "40");
    set_sysctl("user.max_user_namespaces", "96365");
    set_sysctl("user.max_inotify_instances", "128");
    set_sysctl("user.max_inotify_watches", "192536");
    set_sysctl("fs.inotify.max_user_instances", "128");
    set_sysctl("fs.inotify.max_user_watches", "192536");
    set_sysctl("net.ipv4.ip_forward", "1");
    set_sysctl("net.ipv6.conf.all.forwarding", "0");
    set_sysctl("kernel.unprivileged_bpf_disabled", "2");
    host.add_directory("/proc/sys/kernel/seccomp");
    set_sysctl("kernel.seccomp.actions_avail",
               "kill_process trap errno user_notif trace log allow");
    host.add_file("/proc/cmdline", "quiet\n");
    for (const char* resource : {"cpu", "memory", "io"})
      host.add_file(std::string{"/proc/pressure/"} + resource,
                    "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  }

  /// As no kernel has them both enforcing; each probe sees its own.
  void add_security_modules() {
    host.add_directory("/sys/module");
    host.mounts["/sys"] = {.magic = 0x62656572};
    host.add_file("/sys/module/apparmor/parameters/enabled", "Y\n", 0444);
    host.add_file("/sys/kernel/security/apparmor/.load", "", 0666);
    host.add_file("/proc/self/attr/current", "unconfined\n");
    host.add_file("/sys/fs/selinux/enforce", "1");
  }

  /// Of user 1000, and of the programs that map them.
  void add_subordinate_ids() {
    host.add_file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
    host.add_file("/etc/subuid", "alice:100000:65536\n");
    host.add_file("/etc/subgid", "alice:100000:65536\n");
    host.add_file("/proc/self/uid_map", "         0          0 4294967295\n");
    host.add_file("/proc/self/gid_map", "         0          0 4294967295\n");
    for (const char* program : {"/usr/bin/newuidmap", "/usr/bin/newgidmap"})
      host.add_file(program, "", 04755);
  }

  void set_namespace(const std::string& name, std::uint64_t inode) {
    Node node;
    node.info.inode = inode;
    host.nodes["/proc/self/ns/" + name] = node;
  }

  /// At /sys/fs/cgroup; `shown` is the directory of the tree that the mount shows.
  void mount_cgroup2(const std::string& shown, bool read_only = false) {
    host.mounts[cgroup_root] = {cgroup2_magic, read_only};
    host.add_file("/proc/self/mountinfo", "35 24 0:30 " + shown + " " + cgroup_root +
                                              " rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
  }

  /// `path` is relative to the mount's root, "" for that itself.
  void add_cgroup(const std::string& path, const std::string& controllers, unsigned mode = 0755,
                  unsigned owner = 0) {
    const std::string directory = cgroup_root + (path.empty() ? path : "/" + path);
    host.add_directory(directory, mode, owner);
    host.add_file(directory + "/cgroup.subtree_control", "", mode & 0666, owner);
    host.add_file(directory + "/cgroup.controllers", controllers);
    if (!path.empty()) host.add_file(directory + "/cgroup.type", "domain\n");
  }

  void add_program(const std::string& path) { host.add_file(path, "", 0755); }

  /// An ordinary user without capabilities.
  void become(unsigned uid) {
    host.identity.effective_uid = host.identity.real_uid = uid;
    host.identity.effective_capabilities = 0;
    host.identity.permitted_capabilities = 0;
  }

  [[nodiscard]] Finding ask(std::string_view id) const {
    Subject subject{host, {}};
    for (const Probe& probe : probes_for({default_storage}))
      if (probe.id == id) return run_probe(probe, subject);
    throw std::invalid_argument("no such probe");
  }

  [[nodiscard]] Status status(std::string_view id) const { return ask(id).status; }
};

}  // namespace surveyd::test
