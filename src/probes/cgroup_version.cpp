#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding cgroup_version(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  Finding finding = unknown(hierarchy.explanation);
  if (hierarchy.version != cgroup::Version::unknown)
    finding.status = hierarchy.version == cgroup::Version::v2 ? Status::yes : Status::no;
  finding.value = to_string(hierarchy.version);
  finding.evidence.push_back(
      observed("statfs(/sys/fs/cgroup), /proc/self/mountinfo", finding.value));
  return finding;
}

}  // namespace surveyd::probes
