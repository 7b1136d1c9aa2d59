#pragma once

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
    for (const char* program : {"pasta", "fuse-overlayfs", "fusermount3", "fusermount"})
      add_program(std::string{"/usr/bin/"} + program);
    host.variables["PATH"] = "/usr/local/bin:/usr/bin";
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
    for (const Probe& probe : catalogue())
      if (probe.id == id) return run_probe(probe, subject);
    throw std::invalid_argument("no such probe");
  }

  [[nodiscard]] Status status(std::string_view id) const { return ask(id).status; }
};

}  // namespace surveyd::test
