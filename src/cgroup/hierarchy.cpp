#include "cgroup/hierarchy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <unistd.h>

#include "parse/mountinfo.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd::cgroup {
namespace {

// include/linux/proc_ns.h: the initial namespaces have these inode numbers since Linux 3.8.
struct InitialNamespace {
  const char* name;
  const char* path;
  std::uint64_t inode;
};
constexpr std::array<InitialNamespace, 3> initial_namespaces = {
    {{"cgroup", "/proc/self/ns/cgroup", 0xEFFFFFFB},
     {"pid", "/proc/self/ns/pid", 0xEFFFFFFC},
     {"user", "/proc/self/ns/user", 0xEFFFFFFD}}};

// Where systemd, elogind and the container engines mount them beside each other. Without the table
// of mounts these can be asked one by one.
Hierarchy look_below_mount_point(const Host& host) {
  constexpr std::uint64_t cgroup1_magic = 0x27e0eb;  // CGROUP_SUPER_MAGIC in linux/magic.h
  const std::string at = std::string{mount_point};
  const auto has = [&host](const std::string& path, std::uint64_t magic) {
    const auto file_system = host.file_system(path);
    return file_system && file_system->magic == magic;
  };
  const bool v1 = has(at, cgroup1_magic) || has(at + "/systemd", cgroup1_magic) ||
                  has(at + "/memory", cgroup1_magic) || has(at + "/pids", cgroup1_magic);
  const std::string unified = at + "/unified";
  if (has(unified, cgroup2_magic))
    return {Version::hybrid,
            "hybrid hierarchy: cgroup v2 at " + unified +
                " gets only what the v1 controllers leave over",
            {},
            {},
            unified};
  if (v1) return {Version::v1, "cgroup v1 is mounted at " + at, {}};
  return {Version::none, at + " is not a cgroup v2 file system", {}};
}

Hierarchy explain_missing_v2(const Host& host, const Result<std::string>& mountinfo) {
  if (!mountinfo) return look_below_mount_point(host);
  const std::string at = std::string{mount_point};
  const std::vector<parse::Mount> mounts = parse::mountinfo(*mountinfo);
  const auto v1 = std::find_if(mounts.begin(), mounts.end(), [&at](const parse::Mount& mount) {
    return mount.type == "cgroup" &&
           (mount.mount_point == at || mount.mount_point.starts_with(at + "/"));
  });
  const auto v2 = std::find_if(mounts.begin(), mounts.end(),
                               [](const parse::Mount& mount) { return mount.type == "cgroup2"; });
  if (v1 != mounts.end() && v2 != mounts.end())
    return {Version::hybrid,
            "hybrid hierarchy: the v1 controllers are in use and cgroup v2 at " + v2->mount_point +
                " gets only what they leave over",
            {},
            {},
            v2->mount_point};
  if (v1 != mounts.end()) return {Version::v1, "only cgroup v1 is mounted", {}};
  if (v2 != mounts.end())
    return {Version::none,
            "cgroup v2 is mounted at " + v2->mount_point + " but not at " + at,
            {},
            {},
            v2->mount_point};
  return {Version::none, "no cgroup hierarchy is mounted at " + at, {}};
}

Result<void> accepts_new_directory(const Host& host, const std::string& path) {
  const auto file_system = host.file_system(path);
  if (!file_system) return file_system.error();
  if (file_system->magic != cgroup2_magic) {
    Error error{.code = Fault::no_usable_cgroup2, .op = "statfs", .path = path};
    error.detail = "not a cgroup v2 file system";
    return error;
  }
  if (file_system->read_only) return os_error(EROFS, "statfs", path);
  // access(2) itself would ask for the real uid.
  const auto directory = host.access(path, W_OK | X_OK, As::effective_user);
  if (!directory) return directory.error();
  return host.access(path + "/cgroup.subtree_control", W_OK, As::effective_user);
}

bool decides_for_containers(const std::string& controller) {
  return controller == "cpu" || controller == "memory" || controller == "pids";
}

}  // namespace

const char* to_string(Version version) {
  switch (version) {
    case Version::v2:
      return "v2";
    case Version::hybrid:
      return "hybrid";
    case Version::v1:
      return "v1";
    case Version::none:
      return "none";
    case Version::unknown:
      break;
  }
  return "unknown";
}

Hierarchy find_hierarchy(const Host& host, const Result<std::string>& mountinfo) {
  const auto file_system = host.file_system(mount_point);
  if (!file_system)
    return {Version::unknown,
            std::string{mount_point} + " cannot be asked what is mounted there (" +
                errno_name(file_system.error().code) + "): /sys may be masked or not mounted",
            {},
            file_system.error()};
  if (file_system->magic != cgroup2_magic) return explain_missing_v2(host, mountinfo);

  Hierarchy hierarchy{Version::v2, "cgroup v2 is mounted at " + std::string{mount_point}, {}};
  if (!mountinfo) return hierarchy;
  const std::vector<parse::Mount> mounts = parse::mountinfo(*mountinfo);
  if (const parse::Mount* mount = parse::mount_at(mounts, mount_point)) {
    hierarchy.mount_root = mount->root;
    hierarchy.ends_at_namespace =
        ("," + std::string{mount->super_options} + ",").find(",nsdelegate,") != std::string::npos;
  }
  return hierarchy;
}

Result<std::string> relative_to_mount(const std::string& own, const std::string& mount_root) {
  const auto traits = parse::cgroup_path_traits(own);
  Error error{.code = Fault::no_usable_cgroup2, .op = "locate", .path = own};
  if (traits.deleted)
    error.detail = "this process's cgroup has been removed";
  else if (traits.outside_namespace)
    error.detail = "this process's cgroup lies outside of its cgroup namespace";
  else if (mount_root.empty())
    error.detail = "/proc/self/mountinfo does not say what is mounted at /sys/fs/cgroup";
  else if (mount_root == "/")
    return own == "/" ? std::string{} : own.substr(1);
  else if (own == mount_root)
    return std::string{};
  else if (own.starts_with(mount_root + "/"))
    return own.substr(mount_root.size() + 1);
  else
    error.detail = "the mount at /sys/fs/cgroup shows " + mount_root +
                   " of the tree, in which this process's cgroup cannot be named";
  return error;
}

bool Place::offers_for_containers() const {
  return std::any_of(controllers.begin(), controllers.end(), decides_for_containers);
}

bool Place::usable() const {
  return accepts.has_value() && offers_for_containers();
}

std::string Place::explanation() const {
  if (!accepts) {
    const Error& error = accepts.error();
    if (!error.detail.empty()) return path + " is " + error.detail;
    if (error.code == std::errc::read_only_file_system) return path + " is mounted read-only";
    return path + " does not accept a new directory: " + error.op + " " + error.path + ": " +
           errno_name(error.code);
  }
  if (usable()) return path + " accepts a new directory and offers " + parse::joined(controllers);
  return path + " accepts a new directory but offers none of cpu, memory, pids" +
         (controllers.empty() ? "" : " (only " + parse::joined(controllers) + ")");
}

Place inspect(const Host& host, const std::string& path) {
  Place place;
  place.path = path;
  const auto doubt = [&place](const auto& result) {
    if (!result && is_inconclusive(result.error().code)) place.doubt = result.error();
  };
  place.accepts = accepts_new_directory(host, path);
  doubt(place.accepts);
  const auto type = host.stat(path + "/cgroup.type");
  place.is_real_root = !type && type.error().code == std::errc::no_such_file_or_directory;
  doubt(type);
  const auto controllers = host.read(path + "/cgroup.controllers");
  if (controllers) place.controllers = parse::words(*controllers);
  doubt(controllers);
  return place;
}

Namespaces inspect_namespaces(const Host& host) {
  Namespaces result;
  for (const InitialNamespace& initial : initial_namespaces) {
    const auto info = host.stat(initial.path);
    if (!info)
      result.unreadable.emplace_back(initial.path, info.error());
    else if (info->inode != initial.inode)
      result.own.emplace_back(initial.name);
  }
  return result;
}

}  // namespace surveyd::cgroup
