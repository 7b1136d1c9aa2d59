#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/subject.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {

// Of the network namespace that this process is in. IPv6 is evidence: containers do without.
Finding ip_forwarding(Subject& subject) {
  const Host& host = subject.host();
  const Sysctl ipv4 = read_sysctl(host, "net.ipv4.ip_forward");
  const Sysctl ipv6 = read_sysctl(host, "net.ipv6.conf.all.forwarding");
  Inquiry inquiry;
  inquiry.saw(ipv4.evidence());
  inquiry.saw(ipv6.evidence());
  if (!ipv4.value)
    inquiry.unknown(ipv4.code(), ipv4.doubt());
  else if (*ipv4.value == 0 && subject.namespaces().own.empty())
    inquiry.no(ReasonCode::disabled_by_sysctl, "net.ipv4.ip_forward is 0",
               change_sysctl(ipv4.name, 1));
  else if (*ipv4.value == 0)
    // The host's setting is another one.
    inquiry.no(
        ReasonCode::disabled_by_sysctl,
        "net.ipv4.ip_forward is 0 in the network namespace of this process",
        Remedy{"Set it there: --sysctl net.ipv4.ip_forward=1 for a container with a network of its "
               "own, sysctl -w net.ipv4.ip_forward=1 on the host for one that shares the host's.",
               {}});
  return inquiry.conclude(ipv6.value && *ipv6.value != 0
                              ? "the kernel forwards IPv4 and IPv6 packets"
                              : "the kernel forwards IPv4 packets");
}

}  // namespace surveyd::probes
