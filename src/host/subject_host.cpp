#include "host/subject_host.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include <sys/prctl.h>
#include <unistd.h>

namespace surveyd {
namespace {

// The name below /proc/<pid>, of a path that means this process. /proc/net is a link to self/net.
std::optional<std::string> name_in_self(std::string_view path) {
  constexpr std::string_view self = "/proc/self/";
  if (path.starts_with(self)) return std::string{path.substr(self.size())};
  if (path == "/proc/mounts") return "mounts";
  if (path.starts_with("/proc/net/")) return std::string{path.substr(6)};
  return std::nullopt;
}

Error only_looked_at(const char* op, PathRef path) {
  return os_error(EPERM, op, path.c_str());
}

}  // namespace

std::vector<SubjectHost::Doubt> SubjectHost::take_doubts() const {
  return std::exchange(doubts_, {});
}

std::optional<Error> SubjectHost::refuse(const char* op, PathRef path) const {
  if (facts_.files_out_of_reach) return out_of_reach(op, path.c_str(), *facts_.files_out_of_reach);
  // What is there under this name is ours, or nothing.
  if (name_in_self(path.c_str()))
    return out_of_reach(op, path.c_str(), "it is not read of another process");
  return std::nullopt;
}

Result<std::string> SubjectHost::read_of_process(const std::string& name) const {
  if (const auto known = facts_.files.find(name); known != facts_.files.end()) return known->second;
  auto text = process_.read(name.c_str());
  if (!text && (text.error().code == std::errc::permission_denied ||
                text.error().code == std::errc::operation_not_permitted))
    return out_of_reach("read", "/proc/self/" + name, "it may not be read", text.error().code);
  return text;
}

Result<std::string> SubjectHost::read(PathRef path) const {
  if (const auto name = name_in_self(path.c_str())) return read_of_process(*name);
  if (auto error = refuse("open", path)) return *error;
  return real_.read(path);
}

Result<FileInfo> SubjectHost::stat(PathRef path) const {
  if (const auto name = name_in_self(path.c_str()))
    if (name->starts_with("ns/")) {
      const auto known = facts_.namespaces.find(*name);
      // A kernel without this kind of namespace.
      return known != facts_.namespaces.end() ? known->second
                                              : os_error(ENOENT, "stat", path.c_str());
    }
  if (auto error = refuse("stat", path)) return *error;
  return real_.stat(path);
}

Result<std::string> SubjectHost::read_link(PathRef path) const {
  if (const auto name = name_in_self(path.c_str())) {
    std::array<char, PATH_MAX> target;
    const ssize_t size =
        ::readlinkat(process_.directory(), name->c_str(), target.data(), target.size());
    if (size >= 0) return std::string{target.data(), static_cast<std::size_t>(size)};
    return out_of_reach("readlink", path.c_str(), "it may not be read",
                        {errno, std::generic_category()});
  }
  if (auto error = refuse("readlink", path)) return *error;
  return real_.read_link(path);
}

Result<std::vector<DirectoryEntry>> SubjectHost::list(PathRef path) const {
  if (auto error = refuse("open", path)) return *error;
  return real_.list(path);
}

Result<FileSystem> SubjectHost::file_system(PathRef path) const {
  if (auto error = refuse("statfs", path)) return *error;
  return real_.file_system(path);
}

void SubjectHost::doubt_device(const std::error_code& refusal) const {
  if (!refusal && facts_.opened_in_doubt)
    doubts_.push_back({.of_yes = true, .why = *facts_.opened_in_doubt});
  // File permissions say EACCES; device rules say EPERM.
  if (refusal == std::errc::operation_not_permitted && facts_.refused_in_doubt)
    doubts_.push_back({.of_no = true, .why = *facts_.refused_in_doubt});
}

Result<FileInfo> SubjectHost::try_open(PathRef path) const {
  if (auto error = refuse("open", path)) return *error;
  auto opened = real_.try_open(path);
  doubt_device(opened ? std::error_code{} : opened.error().code);
  return opened;
}

Result<int> SubjectHost::kvm_api_version(PathRef device) const {
  if (auto error = refuse("open", device)) return *error;
  auto version = real_.kvm_api_version(device);
  doubt_device(version ? std::error_code{} : version.error().code);
  return version;
}

Result<void> SubjectHost::access(PathRef path, int mode, As as) const {
  if (auto error = refuse("access", path)) return *error;
  return real_.access(path, mode, as);
}

Result<std::string> SubjectHost::attribute(PathRef path, const char* name) const {
  if (auto error = refuse("getxattr", path)) return *error;
  return real_.attribute(path, name);
}

Result<std::unique_ptr<Watch>> SubjectHost::watch(PathRef path) const {
  return only_looked_at("open", path);
}

Result<std::string> SubjectHost::find_directory(std::uint64_t) const {
  return only_looked_at("open_by_handle_at", "/");
}

Result<void> SubjectHost::make_directory(PathRef path) {
  return only_looked_at("mkdir", path);
}

Result<void> SubjectHost::remove_directory(PathRef path) {
  return only_looked_at("rmdir", path);
}

Result<void> SubjectHost::write(PathRef path, std::string_view) {
  return only_looked_at("write", path);
}

Result<void> SubjectHost::set_attribute(PathRef path, const char*, std::string_view) {
  return only_looked_at("setxattr", path);
}

Result<void> SubjectHost::kill(int pid, const std::function<bool()>&) {
  return only_looked_at("kill", std::to_string(pid));
}

Result<std::unique_ptr<Host>> SubjectHost::enter(PathRef directory) const {
  if (auto error = refuse("open", directory)) return *error;
  return real_.enter(directory);
}

Result<bool> SubjectHost::has_capability(int capability, CapabilitySet set) const {
  const parse::Credentials& held = facts_.credentials;
  const std::uint64_t bits = set == CapabilitySet::effective   ? held.effective
                             : set == CapabilitySet::permitted ? held.permitted
                                                               : held.bounding;
  return (bits >> static_cast<unsigned>(capability) & 1U) != 0;
}

Result<bool> SubjectHost::no_new_privileges() const {
  if (facts_.credentials.no_new_privileges) return *facts_.credentials.no_new_privileges;
  return out_of_reach("read", "/proc/self/status", "this kernel does not show it");
}

Result<int> SubjectHost::seccomp_mode() const {
  // Without the line the kernel has no seccomp.
  return facts_.credentials.seccomp_mode.value_or(0);
}

// Its filter is not ours, nor the other way round.
int SubjectHost::answer_to_bad_call(KernelCall call) const {
  const bool theirs = facts_.credentials.seccomp_mode.value_or(0) != 0;
  const bool ours = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
  if (theirs || ours)
    doubts_.push_back({.of_yes = true,
                       .of_no = true,
                       .why = theirs ? "it has a seccomp filter, which cannot be asked"
                                     : "surveyd has a seccomp filter, and answers by that"});
  return real_.answer_to_bad_call(call);
}

Result<void> SubjectHost::try_inotify() const {
  if (facts_.files_out_of_reach)
    return out_of_reach("inotify_init1", "", *facts_.files_out_of_reach);
  return real_.try_inotify();
}

std::optional<std::string> SubjectHost::environment(const char* name) const {
  if (std::string_view{name} != "PATH") return std::nullopt;
  if (facts_.path) return *facts_.path;
  doubts_.push_back({.of_yes = true, .of_no = true, .why = facts_.path.error().detail});
  return std::nullopt;
}

}  // namespace surveyd
