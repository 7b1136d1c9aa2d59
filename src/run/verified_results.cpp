#include "run/verified_results.hpp"

#include <algorithm>
#include <utility>

#include "parse/mountinfo.hpp"
#include "parse/words.hpp"

namespace surveyd::run {
namespace {

// What the probes ask about, besides the storage paths and where their programs lie.
constexpr const char* paths_that_matter[] = {"/dev",           "/dev/net", "/dev/net/tun",
                                             "/dev/fuse",      "/dev/kvm", "/sys",
                                             "/sys/fs/cgroup", "/proc",    "/proc/sys"};

bool covers(std::string_view mount_point, std::string_view path) {
  if (mount_point == "/") return true;
  return path.starts_with(mount_point) &&
         (path.size() == mount_point.size() || path[mount_point.size()] == '/');
}

std::vector<std::string> directories_of_programs(const Host& host) {
  std::vector<std::string> directories;
  const std::string path = host.environment("PATH").value_or("");
  for (std::string_view rest{path}; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(':'));
    if (one.starts_with('/')) directories.emplace_back(one);
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  return directories;
}

std::string text_or_errno(const Result<std::string>& text) {
  return text ? std::string{parse::trimmed(*text)} : errno_name(text.error().code);
}

}  // namespace

std::vector<std::string> mounts_over(std::string_view mountinfo,
                                     const std::vector<std::string>& paths) {
  std::vector<std::string> lines;
  for (const std::string_view line : parse::lines(mountinfo))
    for (const parse::Mount& mount : parse::mountinfo(line))
      if (std::any_of(paths.begin(), paths.end(), [&mount](const std::string& path) {
            return covers(mount.mount_point, path);
          }))
        lines.emplace_back(line);
  return lines;
}

Surroundings read_surroundings(const Host& host, const std::vector<std::string>& storage) {
  Surroundings here;
  for (const char* file :
       {"/proc/sys/kernel/random/boot_id", "/sys/kernel/security/lsm", "/proc/self/attr/current"})
    here.facts[file] = text_or_errno(host.read(file));
  here.facts["/proc/self/exe"] = text_or_errno(host.read_link("/proc/self/exe"));
  here.facts["uname()"] = host.kernel_release();

  std::vector<std::string> paths = storage;
  paths.insert(paths.end(), std::begin(paths_that_matter), std::end(paths_that_matter));
  for (std::string& directory : directories_of_programs(host))
    paths.push_back(std::move(directory));
  const auto mountinfo = host.read("/proc/self/mountinfo");
  if (mountinfo)
    here.mounts = mounts_over(*mountinfo, paths);
  else
    here.facts["/proc/self/mountinfo"] = errno_name(mountinfo.error().code);
  return here;
}

bool still_holds(const Verification& verification, const Finding& claim) {
  return is_same_answer(verification.claim, claim) && verification.claim.value == claim.value;
}

void VerifiedResults::add(std::vector<Verification> verifications, Surroundings surroundings) {
  const std::lock_guard lock{mutex_};
  if (surroundings != surroundings_) known_.clear();
  surroundings_ = std::move(surroundings);
  for (Verification& one : verifications) {
    const std::string id = one.finding.id;
    known_.insert_or_assign(id, std::move(one));
  }
}

Findings VerifiedResults::replace(const Findings& claims) {
  const std::lock_guard lock{mutex_};
  if (!known_.empty() && surroundings() != surroundings_) known_.clear();
  Findings findings = claims;
  for (Finding& finding : findings.all()) {
    const auto known = known_.find(finding.id);
    if (known == known_.end()) continue;
    // The helper never came to it: what is claimed first stands for that.
    if (known->second.claim.failed) known->second.claim = finding;
    if (still_holds(known->second, finding)) {
      finding = known->second.finding;
      known->second.finding.failed = false;  // that is one failure, and not one each survey
    } else {
      known_.erase(known);
    }
  }
  return findings;
}

}  // namespace surveyd::run
