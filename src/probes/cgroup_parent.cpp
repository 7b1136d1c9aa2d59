#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding cgroup_parent(Subject& subject) {
  const auto& text = subject.cgroup_file();
  if (!text) {
    Finding finding = unknown("/proc/self/cgroup cannot be read: " + describe(text.error()));
    finding.evidence.push_back(failed("/proc/self/cgroup", text.error()));
    return finding;
  }
  auto path = parse::cgroup_v2_path(*text);
  if (!path) return no("/proc/self/cgroup has no 0:: line");
  if (*path == "/") return no("the process is at the root of its cgroup namespace");
  Finding finding = yes("the 0:: line of /proc/self/cgroup");
  finding.value = std::move(*path);
  return finding;
}

}  // namespace surveyd::probes
