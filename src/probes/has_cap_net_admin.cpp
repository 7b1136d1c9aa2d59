#include <linux/capability.h>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {

Finding has_cap_net_admin(Subject& subject) {
  const Host& host = subject.host();
  const auto effective = host.has_capability(CAP_NET_ADMIN);
  if (!effective) {
    Finding finding = unknown(code_of(effective.error()),
                              "the capability sets cannot be read: " + describe(effective.error()));
    finding.evidence.push_back(failed("capget()", effective.error()));
    return finding;
  }
  Finding finding = yes("CAP_NET_ADMIN is in the effective set");
  if (!*effective) {
    const std::string set = set_that_lacks(host, CAP_NET_ADMIN);
    finding = no(ReasonCode::capability_missing,
                 "CAP_NET_ADMIN is not in the effective set" +
                     (set == "effective" ? std::string{", but in the permitted one"}
                                         : ": it is missing from the " + set + " set"));
    finding = with_remedy(finding, grant_capability(subject, CAP_NET_ADMIN, "CAP_NET_ADMIN"));
  }
  finding.evidence.push_back(observed("capget()", *effective ? "set" : "not set"));
  const auto no_new = host.no_new_privileges();
  finding.evidence.push_back(no_new ? observed("prctl(PR_GET_NO_NEW_PRIVS)", *no_new ? "1" : "0")
                                    : failed("prctl(PR_GET_NO_NEW_PRIVS)", no_new.error()));
  const auto& map = subject.uid_map();
  finding.evidence.push_back(map ? observed("/proc/self/uid_map", parse::joined(parse::words(*map)))
                                 : failed("/proc/self/uid_map", map.error()));
  return finding;
}

}  // namespace surveyd::probes
