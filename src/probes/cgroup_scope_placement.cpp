#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_answers.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

Evidence evidence_of(const cgroup::Place& place) {
  if (place.accepts)
    return observed(place.path + "/cgroup.controllers", parse::joined(place.controllers));
  const Error& error = place.accepts.error();
  return failed(error.op + "(" + error.path + ")", error);
}

// A cgroup that is somebody else's is one that was not delegated.
Finding explain(Subject& subject, const cgroup::Place& place) {
  if (place.doubt)
    return unknown(code_of(place), place.path + " cannot be asked: " + describe(*place.doubt));
  if (place.usable()) return yes(place.explanation());
  Finding finding = no(code_of(place), place.explanation());
  if (finding.code == ReasonCode::read_only)
    return with_remedy(finding, make_cgroups_writable(subject));
  if (finding.code == ReasonCode::permission_denied) finding.code = ReasonCode::not_delegated;
  return with_remedy(finding, delegate_own_cgroup(subject));
}

Finding at_own_cgroup(Subject& subject, const std::string& own) {
  const auto relative = cgroup::relative_to_mount(own, subject.hierarchy().mount_root);
  if (!relative) return no(ReasonCode::outside_namespace, relative.error().detail);
  if (relative->empty() && subject.mount_root().is_real_root)
    return no(ReasonCode::at_root_cgroup,
              "the process lives in the root cgroup, which is no scope of its own");
  const auto place =
      relative->empty()
          ? subject.mount_root()
          : cgroup::inspect(subject.host(), std::string{cgroup::mount_point} + "/" + *relative);
  Finding finding = explain(subject, place);
  finding.evidence.push_back(evidence_of(place));
  if (finding.status == Status::yes) finding.value = own;
  return finding;
}

}  // namespace

// The own cgroup, or the root of the own cgroup namespace above it.
Finding cgroup_scope_placement(Subject& subject) {
  if (auto without = without_cgroup2(subject)) return *without;
  const auto& text = subject.cgroup_file();
  if (!text) {
    Finding finding = unknown(code_of(text.error()),
                              "/proc/self/cgroup cannot be read: " + describe(text.error()));
    finding.evidence.push_back(failed("/proc/self/cgroup", text.error()));
    return finding;
  }
  const auto own = parse::cgroup_v2_path(*text);
  Finding finding = no(ReasonCode::no_cgroup2_path, "/proc/self/cgroup has no 0:: line");
  if (own && subject.hierarchy().mount_root.empty()) {
    const auto& mountinfo = subject.mountinfo();
    finding = unknown(mountinfo ? ReasonCode::unreadable : code_of(mountinfo.error()),
                      "/proc/self/mountinfo does not say what is mounted at /sys/fs/cgroup");
  } else if (own) {
    finding = at_own_cgroup(subject, *own);
  }
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  if (finding.status == Status::no && own && hierarchy.mount_root == "/" &&
      !subject.mount_root().is_real_root && subject.mount_root().usable()) {
    const cgroup::Place& root = subject.mount_root();
    finding = yes("the root of the own cgroup namespace: " + root.explanation());
    finding.value = "/";
    finding.evidence.push_back(evidence_of(root));
  }
  finding.evidence.insert(finding.evidence.begin(),
                          observed("/proc/self/cgroup", own ? "0::" + *own : "no 0:: line"));
  return finding;
}

}  // namespace surveyd::probes
