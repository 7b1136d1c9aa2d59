#include <algorithm>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_trials.hpp"

namespace surveyd::probes {
namespace {

ReasonCode code_of(cgroup::Version version) {
  switch (version) {
    case cgroup::Version::hybrid:
      return ReasonCode::hybrid_hierarchy;
    case cgroup::Version::v1:
      return ReasonCode::cgroup_v1;
    default:
      return ReasonCode::cgroup_not_mounted;
  }
}

// By what else is in place of cgroup2, where mkdir may succeed and means nothing.
Finding another_file_system(Trial& trial, const FileSystem& file_system) {
  const cgroup::Hierarchy& hierarchy = trial.subject.hierarchy();
  Finding finding = verified(trial.claim, Status::no, code_of(hierarchy.version),
                             hierarchy.explanation + "; a directory made there would be no cgroup");
  finding.evidence.push_back(observed(std::string{"statfs("} + cgroup::mount_point + ")",
                                      file_system.magic == tmpfs_magic ? "tmpfs" : "not cgroup2"));
  return finding;
}

// Nothing is enabled at the root: it belongs to the init system, and by the time it is withdrawn
// somebody else may rely on it.
std::vector<std::string> offered_only(const std::vector<std::string>& offered,
                                      const std::vector<std::string>& usable) {
  std::vector<std::string> rest;
  for (const std::string& name : offered)
    if (std::find(usable.begin(), usable.end(), name) == usable.end()) rest.push_back(name);
  return rest;
}

}  // namespace

// At the root of what is mounted, of the whole tree or not.
Finding verify_can_write_cgroup_root(Trial& trial) {
  const std::string root = cgroup::mount_point;
  const auto file_system = trial.subject.host().file_system(root);
  if (!file_system)
    return nothing_to_try(trial, "statfs(" + root + "): " + describe(file_system.error()));
  if (file_system->magic != cgroup2_magic) return another_file_system(trial, *file_system);

  const CgroupTrial tried = try_directory(trial.subject.host(), root);
  if (tried.failure) return refused_by_tree(trial.claim, tried, "a directory in " + root);
  std::string reason = "a directory was made in " + root + " and removed";
  if (!tried.usable.empty())
    reason += "; below it " + parse::joined(tried.usable) + " can be enabled";
  Finding finding = verified(trial.claim, Status::yes, ReasonCode::available, std::move(reason));
  finding.evidence.insert(finding.evidence.end(), tried.evidence.begin(), tried.evidence.end());
  const auto rest = offered_only(trial.subject.mount_root().controllers, tried.usable);
  if (!rest.empty())
    finding.evidence.push_back(observed(root + "/cgroup.controllers",
                                        "offered, not enabled here: " + parse::joined(rest)));
  return finding;
}

}  // namespace surveyd::probes
