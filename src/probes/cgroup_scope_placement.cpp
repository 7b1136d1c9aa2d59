#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

// The own cgroup, or the root of the own cgroup namespace above it.
Finding cgroup_scope_placement(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  if (hierarchy.version == cgroup::Version::unknown) return unknown(hierarchy.explanation);
  if (hierarchy.version != cgroup::Version::v2) return no(hierarchy.explanation);

  const auto& text = subject.cgroup_file();
  if (!text) return unknown("/proc/self/cgroup cannot be read: " + describe(text.error()));
  const auto own = parse::cgroup_v2_path(*text);
  if (!own) return no("/proc/self/cgroup has no 0:: line");
  if (hierarchy.mount_root.empty())
    return unknown("/proc/self/mountinfo does not say what is mounted at /sys/fs/cgroup");

  std::string why;
  const auto relative = cgroup::relative_to_mount(*own, hierarchy.mount_root);
  if (!relative) {
    why = relative.error().detail;
  } else if (relative->empty() && subject.mount_root().is_real_root) {
    why = "the process lives in the root cgroup, which is no scope of its own";
  } else {
    const auto place =
        relative->empty()
            ? subject.mount_root()
            : cgroup::inspect(subject.host(), std::string{cgroup::mount_point} + "/" + *relative);
    why = place.explanation();
    if (place.doubt) return unknown(place.path + " cannot be asked: " + describe(*place.doubt));
    if (place.usable()) {
      Finding finding = yes(why);
      finding.value = *own;
      return finding;
    }
  }
  const cgroup::Place& root = subject.mount_root();
  if (hierarchy.mount_root == "/" && !root.is_real_root && root.usable()) {
    Finding finding = yes("the root of the own cgroup namespace: " + root.explanation());
    finding.value = "/";
    return finding;
  }
  return no(why);
}

}  // namespace surveyd::probes
