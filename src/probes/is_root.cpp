#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding is_root(Subject& subject) {
  const unsigned uid = subject.host().effective_uid();
  Finding finding = uid == 0 ? yes("the effective user id is 0")
                             : no("the effective user id is " + std::to_string(uid));
  finding.evidence.push_back(observed("geteuid()", std::to_string(uid)));
  return finding;
}

}  // namespace surveyd::probes
