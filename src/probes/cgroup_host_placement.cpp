#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_answers.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

// Nothing needs to be done where the containers can go below the own root instead.
std::optional<Remedy> leave_private_namespace(Subject& subject) {
  if (subject.mount_root().usable() || !subject.surroundings().container) return std::nullopt;
  return Remedy{
      "Start the container in the host's cgroup namespace, with the tree writable: "
      "--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw.",
      {}};
}

Finding explain(Subject& subject, const cgroup::Place& root) {
  if (root.usable()) return yes(root.explanation());
  Finding finding = no(code_of(root), root.explanation());
  if (finding.code == ReasonCode::read_only)
    return with_remedy(finding, make_cgroups_writable(subject));
  if (finding.code == ReasonCode::permission_denied && subject.host().effective_uid() != 0 &&
      !subject.surroundings().container)
    return with_remedy(finding,
                       "Run as root; a user's containers go below the own cgroup instead.");
  return finding;
}

}  // namespace

Finding cgroup_host_placement(Subject& subject) {
  if (auto without = without_cgroup2(subject)) return *without;
  const cgroup::Place& root = subject.mount_root();
  Finding finding;
  if (root.doubt) {
    finding = unknown(code_of(root), root.path + " cannot be asked: " + describe(*root.doubt));
  } else if (!root.is_real_root) {
    finding = with_remedy(no(ReasonCode::private_cgroup_namespace,
                             "what is mounted at /sys/fs/cgroup is not the root of the whole tree"),
                          leave_private_namespace(subject));
  } else {
    finding = explain(subject, root);
    finding.value = "/";
  }
  finding.evidence.push_back(
      root.accepts ? observed("faccessat(" + root.path + ", W_OK | X_OK)", "0")
                   : failed(root.accepts.error().op + "(" + root.accepts.error().path + ")",
                            root.accepts.error()));
  finding.evidence.push_back(
      observed(root.path + "/cgroup.controllers", parse::joined(root.controllers)));
  return finding;
}

}  // namespace surveyd::probes
