#include "support/fixture_host.hpp"

#include <cerrno>

#include <linux/capability.h>
#include <unistd.h>

namespace surveyd::test {
namespace {

// An owner without a mapping in a user namespace is beyond the reach of its root's capabilities.
constexpr unsigned overflow_uid = 65534;

bool has(std::uint64_t set, int capability) {
  return (set >> capability & 1) != 0;
}

}  // namespace

void FixtureHost::add_file(const std::string& path, std::string content, unsigned mode,
                           unsigned owner) {
  nodes[path] = {{.kind = FileKind::regular}, mode, owner, std::move(content)};
}

void FixtureHost::add_directory(const std::string& path, unsigned mode, unsigned owner) {
  nodes[path] = {{.kind = FileKind::directory}, mode, owner, {}};
}

void FixtureHost::add_device(const std::string& path, unsigned major, unsigned minor, unsigned mode,
                             unsigned owner) {
  nodes[path] = {{FileKind::character_device, major, minor, 1}, mode, owner, {}};
}

Result<const Node*> FixtureHost::find(PathRef path, const char* op) const {
  if (const auto error = errors.find(path.c_str()); error != errors.end())
    return os_error(error->second, op, path.c_str());
  const auto node = nodes.find(path.c_str());
  if (node == nodes.end()) return os_error(ENOENT, op, path.c_str());
  return &node->second;
}

Result<std::string> FixtureHost::read(PathRef path) const {
  const auto node = find(path, "open");
  if (!node) return node.error();
  return (*node)->content;
}

Result<std::vector<DirectoryEntry>> FixtureHost::list(PathRef path) const {
  const auto directory = find(path, "open");
  if (!directory) return directory.error();
  const std::string prefix = std::string{path.c_str()} + "/";
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, node] : nodes)
    if (name.starts_with(prefix) && name.find('/', prefix.size()) == std::string::npos)
      entries.push_back({name.substr(prefix.size()), node.info.kind == FileKind::directory});
  return entries;
}

Result<FileInfo> FixtureHost::stat(PathRef path) const {
  const auto node = find(path, "stat");
  if (!node) return node.error();
  FileInfo info = (*node)->info;
  info.mode = (*node)->mode;
  info.owner = (*node)->owner;
  return info;
}

Result<FileSystem> FixtureHost::file_system(PathRef path) const {
  if (const auto node = find(path, "statfs"); !node) return node.error();
  std::string prefix = path.c_str();
  while (true) {
    if (const auto mount = mounts.find(prefix); mount != mounts.end()) return mount->second;
    if (prefix.size() <= 1) return FileSystem{};
    prefix.resize(prefix.rfind('/'));
    if (prefix.empty()) prefix = "/";
  }
}

Result<FileInfo> FixtureHost::try_open(PathRef path) const {
  const auto node = find(path, "open");
  if (!node) return node.error();
  if (const auto granted = access(path, R_OK | W_OK, As::effective_user); !granted)
    return os_error(granted.error().code.value(), "open", path.c_str());
  // Only these misc devices have a driver here; opening any other number is ENODEV.
  const FileInfo& info = (*node)->info;
  if (info.kind == FileKind::character_device && info.device_minor != 200 &&
      info.device_minor != 229 && info.device_minor != 232)
    return os_error(ENODEV, "open", path.c_str());
  return info;
}

// generic_permission() of the kernel, without groups.
Result<void> FixtureHost::access(PathRef path, int mode, As as) const {
  const auto found = find(path, "access");
  if (!found) return found.error();
  const Node& node = **found;
  const auto file_system_there = file_system(path);
  const bool device = node.info.kind == FileKind::character_device;
  if ((mode & W_OK) != 0 && !device && file_system_there && file_system_there->read_only)
    return os_error(EROFS, "access", path.c_str());

  const bool real = as == As::real_user;
  const unsigned uid = real ? identity.real_uid : identity.effective_uid;
  const unsigned bits = uid == node.owner ? node.mode >> 6 & 7 : node.mode & 7;
  if ((bits & static_cast<unsigned>(mode)) == static_cast<unsigned>(mode)) return {};
  // access(2) for a real user other than root drops the capabilities, for root it has all the
  // permitted ones.
  std::uint64_t capabilities = identity.effective_capabilities.value_or(0);
  if (real) capabilities = uid == 0 ? identity.permitted_capabilities : 0;
  const bool reachable = identity.initial_user_namespace || node.owner != overflow_uid;
  if (reachable && has(capabilities, CAP_DAC_OVERRIDE)) return {};
  return os_error(EACCES, "access", path.c_str());
}

Result<std::string> FixtureHost::attribute(PathRef path, const char* name) const {
  const auto value = attributes.find({path.c_str(), name});
  if (value == attributes.end()) return os_error(ENODATA, "getxattr", path.c_str());
  return value->second;
}

Result<std::unique_ptr<Watch>> FixtureHost::watch(PathRef path) const {
  return os_error(ENOSYS, "watch", path.c_str());
}

Result<void> FixtureHost::kill(int pid, const std::function<bool()>&) {
  return os_error(ENOSYS, "kill", std::to_string(pid));
}

Result<std::string> FixtureHost::find_directory(std::uint64_t) const {
  return os_error(EPERM, "open_by_handle_at");
}

// A fixture is read-only: whoever writes has misunderstood what surveying means.
Result<void> FixtureHost::make_directory(PathRef path) {
  return os_error(EROFS, "mkdir", path.c_str());
}
Result<void> FixtureHost::remove_directory(PathRef path) {
  return os_error(EROFS, "rmdir", path.c_str());
}
Result<void> FixtureHost::write(PathRef path, std::string_view) {
  return os_error(EROFS, "write", path.c_str());
}
Result<void> FixtureHost::set_attribute(PathRef path, const char*, std::string_view) {
  return os_error(EROFS, "setxattr", path.c_str());
}
Result<std::unique_ptr<Host>> FixtureHost::enter(PathRef directory) const {
  return os_error(EACCES, "open", directory.c_str());
}

Result<bool> FixtureHost::has_capability(int capability, CapabilitySet set) const {
  if (!identity.effective_capabilities) return os_error(EPERM, "capget");
  if (set == CapabilitySet::bounding) return has(identity.bounding_capabilities, capability);
  if (set == CapabilitySet::permitted) return has(identity.permitted_capabilities, capability);
  return has(*identity.effective_capabilities, capability);
}

Result<int> FixtureHost::seccomp_mode() const {
  if (identity.seccomp_mode < 0) return os_error(-identity.seccomp_mode, "prctl(PR_GET_SECCOMP)");
  return identity.seccomp_mode;
}

int FixtureHost::answer_to_bad_call(KernelCall call) const {
  const auto answer = call_answers.find(call);
  return answer == call_answers.end() ? EINVAL : answer->second;
}

Result<int> FixtureHost::kvm_api_version(PathRef device) const {
  const auto opened = try_open(device);
  if (!opened) return opened.error();
  return kvm_version;
}

Result<void> FixtureHost::try_inotify() const {
  if (inotify_error != 0) return os_error(inotify_error, "inotify_init1");
  return {};
}

Result<std::string> FixtureHost::read_link(PathRef path) const {
  const auto node = find(path, "readlink");
  if (!node) return node.error();
  return (*node)->content;
}

std::optional<std::string> FixtureHost::environment(const char* name) const {
  const auto variable = variables.find(name);
  if (variable == variables.end()) return std::nullopt;
  return variable->second;
}

}  // namespace surveyd::test
