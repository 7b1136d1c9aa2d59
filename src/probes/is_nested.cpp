#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding is_nested(Subject& subject) {
  const auto& text = subject.cgroup_file();
  if (!text) {
    Finding finding = unknown("/proc/self/cgroup cannot be read: " + describe(text.error()));
    finding.evidence.push_back(failed("/proc/self/cgroup", text.error()));
    return finding;
  }
  const auto path = parse::cgroup_v2_path(*text);
  if (!path) return no("/proc/self/cgroup has no 0:: line: cgroup v2 is not in use");
  Finding finding = *path == "/" ? no("the cgroup v2 path is the root of the cgroup namespace")
                                 : yes("the process lives in the cgroup " + *path);
  finding.evidence.push_back(observed("/proc/self/cgroup", "0::" + *path));
  return finding;
}

}  // namespace surveyd::probes
