#include "probes/remedies.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "parse/mountinfo.hpp"
#include "probes/answer.hpp"

namespace surveyd::probes {
namespace {

bool is_debian(Subject& subject) {
  const auto& names = subject.distributions();
  return std::find(names.begin(), names.end(), "debian") != names.end();
}

// "podman run", "docker run", or both where nothing tells which.
std::string option_of_runtime(Subject& subject, const std::string& option) {
  const std::string& runtime = subject.surroundings().runtime;
  if (runtime == "podman" || runtime == "docker") return runtime + " run " + option;
  return "podman run or docker run " + option;
}

// A service with PrivateDevices= or what implies it has a small tmpfs there; that of the machine is
// a devtmpfs.
bool has_private_dev(Subject& subject) {
  const auto& text = subject.mountinfo();
  if (!text) return false;
  const auto mounts = parse::mountinfo(*text);
  const parse::Mount* dev = parse::mount_at(mounts, "/dev");
  return dev != nullptr && dev->type == "tmpfs";
}

}  // namespace

Finding with_remedy(Finding finding, std::optional<Remedy> remedy) {
  finding.remedy = std::move(remedy);
  return finding;
}

Remedy install(Subject& subject, const std::string& program, const std::string& debian_package) {
  if (subject.surroundings().container)
    return {"Add " + program + " to the image of the container (on Debian the package " +
                debian_package + ").",
            {}};
  if (is_debian(subject))
    return {"Install the package " + debian_package + ".", "apt-get install -y " + debian_package};
  return {"Install " + program + " (on Debian the package " + debian_package + ").", {}};
}

Remedy load_module(Subject& subject, const std::string& module) {
  const bool container = subject.surroundings().container;
  return {"Load the kernel module " + module + (container ? " on the host." : "."),
          "modprobe " + module};
}

Remedy set_sysctl(Subject& subject, const std::string& name, const std::string& value) {
  const bool container = subject.surroundings().container;
  if (container && name.starts_with("net."))
    return {"Start the container with the sysctl: " +
                option_of_runtime(subject, "--sysctl " + name + "=" + value) + ".",
            {}};
  return {"Set the sysctl " + name + " to " + value + (container ? " on the host" : "") +
              "; a file in /etc/sysctl.d keeps it over a reboot.",
          "sysctl -w " + name + "=" + value};
}

std::string set_that_lacks(const Host& host, int capability) {
  const auto lacks = [&](CapabilitySet set) {
    const auto held = host.has_capability(capability, set);
    return held && !*held;
  };
  if (lacks(CapabilitySet::bounding)) return "bounding";
  if (lacks(CapabilitySet::permitted)) return "permitted";
  return lacks(CapabilitySet::effective) ? "effective" : "";
}

std::optional<Remedy> grant_capability(Subject& subject, int capability, const std::string& name) {
  const std::string lacking = set_that_lacks(subject.host(), capability);
  if (lacking.empty()) return std::nullopt;
  if (subject.surroundings().container) {
    const std::string option = "--cap-add=" + name.substr(std::string_view{"CAP_"}.size());
    if (lacking == "bounding")
      return Remedy{
          "Start the container with the capability: " + option_of_runtime(subject, option) + ".",
          {}};
    return Remedy{"Run as root in the container; it is not denied " + name + ".", {}};
  }
  // Several bounding sets of one unit are merged, so this adds to one that has been cut down, and
  // would cut down one that has not (systemd.exec(5)).
  const std::string ambient = "AmbientCapabilities=" + name;
  const std::string lines =
      lacking == "bounding" ? "CapabilityBoundingSet=" + name + "\\n" + ambient : ambient;
  if (auto remedy =
          change_service(subject, "capabilities", "Give the service " + name + ".", lines))
    return remedy;
  if (lacking == "bounding")
    return Remedy{"Start it with " + name +
                      " in its bounding set: whoever started it dropped that, and no program below "
                      "it can get it back.",
                  {}};
  return Remedy{lacking == "permitted" ? "Run as root, or as a service with " + ambient + "."
                                       : name +
                                             " is permitted but not effective: raise it, or run "
                                             "as a service with " +
                                             ambient + ".",
                {}};
}

std::optional<Remedy> change_service(Subject& subject, const std::string& name,
                                     const std::string& text, const std::string& lines) {
  const auto& unit = subject.surroundings().unit;
  if (!unit || !unit->is_service() || unit->of_user || unit->name.starts_with("user@"))
    return std::nullopt;
  const std::string directory = "/etc/systemd/system/" + unit->name + ".d";
  // The name comes from a cgroup's; what is no unit's name has been refused.
  return Remedy{text, "mkdir -p '" + directory + "' && printf '[Service]\\n" + lines + "\\n' > '" +
                          directory + "/50-" + name +
                          ".conf' && systemctl daemon-reload && systemctl restart '" + unit->name +
                          "'"};
}

std::optional<Remedy> provide_device(Subject& subject, const std::string& path,
                                     const std::string& module, unsigned major, unsigned minor,
                                     const Error& error) {
  if (is_inconclusive(error.code)) return std::nullopt;
  const bool container = subject.surroundings().container;
  const std::string option = option_of_runtime(subject, "--device " + path);
  switch (error.code.value()) {
    case ENOENT:
    case ENOTDIR: {
      if (container) return Remedy{"Start the container with the device: " + option + ".", {}};
      if (has_private_dev(subject))
        if (auto remedy =
                change_service(subject, "device", "Let the service see the devices of the machine.",
                               "PrivateDevices=no"))
          return remedy;
      const std::string directory = path.substr(0, path.rfind('/'));
      return Remedy{"Load the kernel module " + module + ", and make the node where none appears.",
                    "modprobe " + module + "; [ -e " + path + " ] || { mkdir -p " + directory +
                        " && mknod -m 0666 " + path + " c " + std::to_string(major) + " " +
                        std::to_string(minor) + "; }"};
    }
    case ENODEV:
    case ENXIO:
      return load_module(subject, module);
    case EACCES: {
      const auto mount = subject.host().file_system(path);
      if (mount && mount->no_devices)
        return Remedy{"Mount what holds " + path + " without nodev.", {}};
      const auto info = subject.host().stat(path);
      const bool closed = info && (info->mode & 06) != 06;
      if (closed && !container)
        return Remedy{"Let every user open " + path + ", or run as root.", "chmod 0666 " + path};
      if (closed) return Remedy{"Run as root in the container, or open " + path + " to all.", {}};
      return std::nullopt;
    }
    case EPERM:
      // The devices that a cgroup may use: a program in the kernel, not a mode.
      if (container) return Remedy{"Start the container with the device: " + option + ".", {}};
      return change_service(subject, "device", "Allow the service the device.",
                            "DeviceAllow=" + path + " rw");
    default:
      return std::nullopt;
  }
}

Remedy boot_with_cgroup2(Subject& subject) {
  const std::string argument = "systemd.unified_cgroup_hierarchy=1";
  if (subject.surroundings().container)
    return {"Boot the host with cgroup v2 alone: with systemd the kernel argument " + argument +
                "; then start the container again.",
            {}};
  if (!subject.surroundings().systemd)
    return {
        "Let the init system mount cgroup v2 at /sys/fs/cgroup and no v1 hierarchy; the kernel "
        "argument cgroup_no_v1=all takes the controllers from v1. Then reboot.",
        {}};
  const bool grub = is_debian(subject) && subject.host().stat("/etc/default/grub");
  // systemd takes the last one, and these files are read after /etc/default/grub, which may have
  // the opposite.
  const std::string file = "/etc/default/grub.d/90-cgroup2.cfg";
  return {"Boot with the kernel argument " + argument +
              (grub ? ": run this and reboot." : " and without its opposite."),
          grub ? "mkdir -p /etc/default/grub.d && echo "
                 "'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT " +
                     argument + "\"' > " + file + " && update-grub"
               : std::string{}};
}

Remedy make_cgroups_writable(Subject& subject) {
  if (subject.surroundings().container)
    return {
        "Start the container with its cgroups writable: podman run --security-opt "
        "unmask=/sys/fs/cgroup, or with either -v /sys/fs/cgroup:/sys/fs/cgroup:rw "
        "--cgroupns=private.",
        {}};
  // The service has a read-only mount of its own, which the host does not see.
  if (auto remedy =
          change_service(subject, "cgroups", "Let the service write below /sys/fs/cgroup.",
                         "ProtectControlGroups=no"))
    return *remedy;
  return {"Mount it read-write.", "mount -o remount,rw,bind /sys/fs/cgroup"};
}

std::optional<Remedy> delegate_own_cgroup(Subject& subject) {
  if (subject.surroundings().container) return std::nullopt;
  const auto& unit = subject.surroundings().unit;
  if (!unit) return std::nullopt;
  if (auto remedy = change_service(
          subject, "delegate", "Let systemd delegate the cgroup to the service.", "Delegate=yes"))
    return remedy;
  return Remedy{unit->is_service()
                    ? "Set Delegate=yes for " + unit->name + " and restart it."
                    : unit->name +
                          " cannot be delegated afterwards: start surveyd with "
                          "systemd-run --scope -p Delegate=yes (a user adds --user), or "
                          "as a service with Delegate=yes.",
                {}};
}

}  // namespace surveyd::probes
