#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding cgroup_parent(Subject& subject) {
  const auto& text = subject.cgroup_file();
  if (!text) {
    Finding finding = unknown(code_of(text.error()),
                              "/proc/self/cgroup cannot be read: " + describe(text.error()));
    finding.evidence.push_back(failed("/proc/self/cgroup", text.error()));
    return finding;
  }
  auto path = parse::cgroup_v2_path(*text);
  Finding finding = no(ReasonCode::no_cgroup2_path, "/proc/self/cgroup has no 0:: line");
  if (path && *path == "/")
    finding = no(ReasonCode::at_root_cgroup, "the process is at the root of its cgroup namespace");
  else if (path)
    finding = yes(ReasonCode::in_cgroup, "the 0:: line of /proc/self/cgroup");
  finding.evidence.push_back(observed("/proc/self/cgroup", path ? "0::" + *path : "no 0:: line"));
  if (finding.status == Status::yes) finding.value = std::move(*path);
  return finding;
}

}  // namespace surveyd::probes
