#include "probes/answer.hpp"
#include "probes/cgroup_answers.hpp"

namespace surveyd::probes {

Finding cgroup_version(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  Finding finding;
  if (auto without = without_cgroup2(subject)) {
    finding = std::move(*without);
  } else {
    finding = yes(hierarchy.explanation);
    finding.evidence.push_back(observed("statfs(/sys/fs/cgroup), /proc/self/mountinfo", "v2"));
  }
  finding.value = to_string(hierarchy.version);
  // What the v1 hierarchies have not taken.
  if (hierarchy.version == cgroup::Version::hybrid)
    finding.evidence.push_back(
        what_file_says(subject.host(), hierarchy.elsewhere + "/cgroup.controllers"));
  return finding;
}

}  // namespace surveyd::probes
