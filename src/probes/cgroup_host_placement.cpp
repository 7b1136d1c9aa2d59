#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding cgroup_host_placement(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  if (hierarchy.version == cgroup::Version::unknown) return unknown(hierarchy.explanation);
  if (hierarchy.version != cgroup::Version::v2) return no(hierarchy.explanation);
  const cgroup::Place& root = subject.mount_root();
  if (root.doubt) return unknown(root.path + " cannot be asked: " + describe(*root.doubt));
  if (!root.is_real_root)
    return no("what is mounted at /sys/fs/cgroup is not the root of the whole tree");
  Finding finding = root.usable() ? yes(root.explanation()) : no(root.explanation());
  finding.value = "/";
  return finding;
}

}  // namespace surveyd::probes
