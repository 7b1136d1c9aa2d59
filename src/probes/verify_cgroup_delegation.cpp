#include <surveyd/cgroup_tree.hpp>

#include "cgroup/scratch_cgroup.hpp"
#include "host/child_process.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_trials.hpp"

namespace surveyd::probes {
namespace {

// The container parent, or where it would be made.
std::string innermost_there(const Host& host, const ContainerParent& parent) {
  std::string path = parent.levels.front();
  for (const std::string& level : parent.levels)
    if (host.stat(level)) path = level;
  while (path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

// Status and value stay what is delegated, for those who wait for changes of that; unless it does
// not work.
Finding verify_cgroup_delegation(Trial& trial) {
  const Host& host = trial.subject.host();
  CgroupTree tree{host, trial.subject.plan()};
  const auto parent = tree.inspect_container_parent();
  if (!parent) return nothing_to_try(trial, "no container parent is possible");
  // A trial that was killed may have left something where there was no container parent yet.
  for (const std::string& level : parent->levels) cgroup::sweep_scratch(host, level);

  const auto process = ChildProcess::idle();
  if (!process) return nothing_to_try(trial, describe_step(process.error()));
  const std::string place = innermost_there(host, *parent);
  const CgroupTrial tried = try_container(host, place, process->pid());
  const std::string what = "a container's cgroup in " + place;
  if (tried.failure) return refused_by_tree(trial.claim, tried, what);
  Finding finding = verified(trial.claim, trial.claim.status, trial.claim.code,
                             trial.claim.reason + "; " + what + " works");
  finding.evidence.insert(finding.evidence.end(), tried.evidence.begin(), tried.evidence.end());
  return finding;
}

}  // namespace surveyd::probes
