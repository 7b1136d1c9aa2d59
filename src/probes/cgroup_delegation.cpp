#include <algorithm>

#include <surveyd/cgroup_tree.hpp>

#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

// The value is what is delegated now: systemd may withdraw controllers at any time.
Finding cgroup_delegation(Subject& subject) {
  if (subject.hierarchy().version == cgroup::Version::unknown)
    return unknown(subject.hierarchy().explanation);
  const auto& parent = subject.container_parent();
  if (!parent) {
    const Error& error = parent.error();
    const std::string why = error.detail.empty() ? describe(error) : error.detail;
    return answer(meaning_of(error), "no container parent is possible: " + why);
  }
  if (!parent->exists)
    return no(parent->path + " has not been made yet: POST /cgroups/ensure makes it");

  Finding finding;
  std::string lacking;
  for (const std::string& name : parent->offered) {
    const auto& enabled = parent->delegated;
    if (std::find(enabled.begin(), enabled.end(), name) == enabled.end())
      lacking += (lacking.empty() ? "" : ", ") + name;
  }
  for (const std::string& name : parent->delegated)
    finding.value += (finding.value.empty() ? "" : " ") + name;
  finding.status = lacking.empty() ? Status::yes : Status::no;
  finding.reason = lacking.empty() ? parent->path + " delegates every controller that it is offered"
                                   : parent->path + " does not delegate " + lacking;
  finding.evidence.push_back(observed(parent->path + "/cgroup.subtree_control", finding.value));
  return finding;
}

}  // namespace surveyd::probes
