#include "host/device_rules.hpp"

#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/real_host.hpp"
#include "host/unique_fd.hpp"
#include "parse/credentials.hpp"
#include "parse/mountinfo.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

// The directory of the cgroup below a mount that shows its hierarchy from the root on; empty when
// there is none.
std::string directory_of(std::string_view path, const std::vector<parse::Mount>& mounts,
                         std::string_view type, std::string_view controller) {
  for (const parse::Mount& mount : mounts) {
    if (mount.type != type || mount.root != "/") continue;
    const bool has_it =
        controller.empty() ||
        ("," + std::string{mount.super_options} + ",").find("," + std::string{controller} + ",") !=
            std::string::npos;
    if (has_it) return mount.mount_point + (path == "/" ? std::string{} : std::string{path});
  }
  return {};
}

// v1: devices.list of a cgroup says what it may use; "a *:* rwm" is everything.
std::optional<std::string> rules_of_v1(std::string_view path,
                                       const std::vector<parse::Mount>& mounts) {
  const std::string directory = directory_of(path, mounts, "cgroup", "devices");
  if (directory.empty()) return "its device cgroup " + std::string{path} + " cannot be seen here";
  const std::string file = directory + "/devices.list";
  const auto list = RealHost{}.read(file);
  if (!list) return file + " cannot be read: " + errno_name(list.error().code);
  if (parse::trimmed(*list) == "a *:* rwm") return std::nullopt;
  return file + " does not allow every device";
}

// v2: with BPF_F_QUERY_EFFECTIVE those of the levels above count, too.
std::optional<std::string> rules_of_v2(std::string_view path,
                                       const std::vector<parse::Mount>& mounts) {
  const std::string directory = directory_of(path, mounts, "cgroup2", "");
  if (directory.empty()) return "its cgroup " + std::string{path} + " cannot be seen here";
  const UniqueFd cgroup{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!cgroup)
    return directory + " cannot be opened: " + errno_name({errno, std::generic_category()});
  bpf_attr query;
  std::memset(&query, 0, sizeof query);
  query.query.target_fd = static_cast<__u32>(cgroup.get());
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.query_flags = BPF_F_QUERY_EFFECTIVE;
  if (::syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) != 0 && errno != ENOSPC) {
    // EINVAL: a kernel without programs for cgroups has no device rules for v2 either.
    if (errno == EINVAL) return std::nullopt;
    return "the device programs of " + directory +
           " cannot be counted: " + errno_name({errno, std::generic_category()});
  }
  if (query.query.prog_cnt == 0) return std::nullopt;
  return "a device program is attached to " + directory + " or above it, and cannot be asked";
}

}  // namespace

std::optional<std::string> possible_device_rules(std::string_view cgroup,
                                                 std::string_view mountinfo) {
  const std::vector<parse::Mount> mounts = parse::mountinfo(mountinfo);
  if (const auto path = parse::cgroup_v1_path(cgroup, "devices"))
    if (auto rules = rules_of_v1(*path, mounts)) return rules;
  if (const auto path = parse::cgroup_v2_path(cgroup))
    if (auto rules = rules_of_v2(*path, mounts)) return rules;
  return std::nullopt;
}

}  // namespace surveyd
