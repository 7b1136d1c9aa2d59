#include <linux/capability.h>

#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding has_cap_net_admin(Subject& subject) {
  const auto effective = subject.host().has_capability(CAP_NET_ADMIN);
  if (!effective) {
    Finding finding = unknown("the capability sets cannot be read: " + describe(effective.error()));
    finding.evidence.push_back(failed("capget()", effective.error()));
    return finding;
  }
  Finding finding = *effective ? yes("CAP_NET_ADMIN is in the effective set")
                               : no("CAP_NET_ADMIN is not in the effective set");
  finding.evidence.push_back(observed("capget()", *effective ? "set" : "not set"));
  return finding;
}

}  // namespace surveyd::probes
