#include "probes/cgroup_answers.hpp"

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

using cgroup::Version;

std::optional<Remedy> mount_tree(Subject& subject) {
  if (subject.surroundings().container) return std::nullopt;
  return Remedy{"Mount cgroup v2 at /sys/fs/cgroup.",
                "mkdir -p /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup"};
}

}  // namespace

std::optional<Finding> without_cgroup2(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  Finding finding;
  switch (hierarchy.version) {
    case Version::v2:
      return std::nullopt;
    case Version::hybrid:
      finding = with_remedy(no(ReasonCode::hybrid_hierarchy, hierarchy.explanation),
                            boot_with_cgroup2(subject));
      break;
    case Version::v1:
      finding =
          with_remedy(no(ReasonCode::cgroup_v1, hierarchy.explanation), boot_with_cgroup2(subject));
      break;
    case Version::none:
      finding = with_remedy(no(ReasonCode::cgroup_not_mounted, hierarchy.explanation),
                            mount_tree(subject));
      break;
    case Version::unknown:
      finding = unknown(hierarchy.doubt ? code_of(*hierarchy.doubt) : ReasonCode::unreadable,
                        hierarchy.explanation);
      break;
  }
  finding.evidence.push_back(
      hierarchy.doubt
          ? failed("statfs(/sys/fs/cgroup)", *hierarchy.doubt)
          : observed("statfs(/sys/fs/cgroup), /proc/self/mountinfo", to_string(hierarchy.version)));
  return finding;
}

ReasonCode code_of(const cgroup::Place& place) {
  if (place.doubt) return code_of(*place.doubt);
  if (place.accepts) return ReasonCode::no_container_controllers;
  const Error& error = place.accepts.error();
  if (errno_name(error.code).empty()) return ReasonCode::cgroup_not_mounted;
  return code_of(error);
}

Evidence what_file_says(const Host& host, const std::string& path) {
  const auto text = host.read(path);
  return text ? observed(path, std::string{parse::trimmed(*text)}) : failed(path, text.error());
}

}  // namespace surveyd::probes
