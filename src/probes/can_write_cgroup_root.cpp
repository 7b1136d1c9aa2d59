#include <unistd.h>

#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

// access(2) asks for the real user, and sees the mount but not the capability to override
// permissions: that is the reference's definition. cgroup_host_placement knows better.
Finding can_write_cgroup_root(Subject& subject) {
  static const std::string path = std::string{cgroup::mount_point} + "/cgroup.subtree_control";
  const auto granted = subject.host().access(path, W_OK, As::real_user);
  if (granted) {
    Finding finding = yes(path + " grants write access");
    finding.evidence.push_back(observed("access(" + path + ", W_OK)", "0"));
    return finding;
  }
  const Error& error = granted.error();
  Finding finding =
      answer(meaning_of(error), path + " does not grant write access: " + describe(error));
  finding.evidence.push_back(failed("access(" + path + ", W_OK)", error));
  return finding;
}

}  // namespace surveyd::probes
