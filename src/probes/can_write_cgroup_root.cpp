#include <cerrno>

#include <unistd.h>

#include "probes/answer.hpp"
#include "probes/cgroup_answers.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

// The hierarchy explains why there is no such file; it is none of the reference's business.
Finding explain(Subject& subject, const Error& error, const std::string& reason) {
  Finding finding = answer(meaning_of(error), code_of(error), reason);
  if (finding.status == Status::unknown) return finding;
  if (finding.code == ReasonCode::read_only)
    return with_remedy(finding, make_cgroups_writable(subject));
  if (error.code == std::errc::no_such_file_or_directory) {
    if (auto without = without_cgroup2(subject)) {
      finding.code = without->code;
      finding.remedy = std::move(without->remedy);
      finding.evidence = std::move(without->evidence);
    }
    return finding;
  }
  // Where a container's root is refused, its cgroups are its host's.
  if (finding.code == ReasonCode::permission_denied && subject.host().real_uid() != 0 &&
      !subject.surroundings().container)
    return with_remedy(finding,
                       "Run as root; a user's containers go below the own cgroup instead.");
  return finding;
}

}  // namespace

// access(2) asks for the real user, and sees the mount but not the capability to override
// permissions: that is the reference's definition. cgroup_host_placement knows better.
Finding can_write_cgroup_root(Subject& subject) {
  static const std::string path = std::string{cgroup::mount_point} + "/cgroup.subtree_control";
  const std::string source = "access(" + path + ", W_OK)";
  const auto granted = subject.host().access(path, W_OK, As::real_user);
  if (granted) {
    Finding finding = yes(path + " grants write access");
    finding.evidence.push_back(observed(source, "0"));
    return finding;
  }
  const Error& error = granted.error();
  Finding finding =
      explain(subject, error, path + " does not grant write access: " + describe(error));
  finding.evidence.insert(finding.evidence.begin(), failed(source, error));
  return finding;
}

}  // namespace surveyd::probes
