#include <optional>

#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_trials.hpp"

namespace surveyd::probes {
namespace {

// The cgroup that the claim is about, or would be: relative to the mount.
std::optional<std::string> scope_of(Trial& trial) {
  const std::string& mount_root = trial.subject.hierarchy().mount_root;
  std::string path = trial.claim.value;
  if (trial.claim.status != Status::yes) {
    const auto& text = trial.subject.cgroup_file();
    const auto own = text ? parse::cgroup_v2_path(*text) : std::nullopt;
    if (!own) return std::nullopt;
    path = *own;
  }
  const auto relative = cgroup::relative_to_mount(path, mount_root);
  if (!relative) return std::nullopt;
  return *relative;
}

}  // namespace

Finding verify_cgroup_host_placement(Trial& trial) {
  if (trial.subject.hierarchy().version != cgroup::Version::v2)
    return nothing_to_try(trial, "cgroup v2 is not mounted at /sys/fs/cgroup");
  const cgroup::Place& root = trial.subject.mount_root();
  if (!root.is_real_root)
    return nothing_to_try(trial, "what is mounted is not the root of the whole tree");
  return verify_place(trial, root);
}

Finding verify_cgroup_scope_placement(Trial& trial) {
  if (trial.subject.hierarchy().version != cgroup::Version::v2)
    return nothing_to_try(trial, "cgroup v2 is not mounted at /sys/fs/cgroup");
  const auto scope = scope_of(trial);
  if (!scope) return nothing_to_try(trial, "the process's cgroup cannot be named here");
  const cgroup::Place& root = trial.subject.mount_root();
  if (scope->empty() && root.is_real_root)
    return nothing_to_try(trial, "the process lives in the root cgroup");
  return verify_place(trial, scope->empty()
                                 ? root
                                 : cgroup::inspect(trial.subject.host(), root.path + "/" + *scope));
}

}  // namespace surveyd::probes
