#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding is_nested(Subject& subject) {
  const auto& text = subject.cgroup_file();
  if (!text) {
    Finding finding = unknown(code_of(text.error()),
                              "/proc/self/cgroup cannot be read: " + describe(text.error()));
    finding.evidence.push_back(failed("/proc/self/cgroup", text.error()));
    return finding;
  }
  const auto path = parse::cgroup_v2_path(*text);
  if (!path) {
    Finding finding = no(ReasonCode::no_cgroup2_path,
                         "/proc/self/cgroup has no 0:: line: cgroup v2 is not in use");
    finding.evidence.push_back(observed("/proc/self/cgroup", "no 0:: line"));
    return finding;
  }
  Finding finding =
      *path == "/"
          ? no(ReasonCode::at_root_cgroup, "the cgroup v2 path is the root of the cgroup namespace")
          : yes(ReasonCode::in_cgroup, "the process lives in the cgroup " + *path);
  finding.evidence.push_back(observed("/proc/self/cgroup", "0::" + *path));
  return finding;
}

}  // namespace surveyd::probes
