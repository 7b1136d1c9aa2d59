#include "host/network_objects.hpp"
#include "probes/network_trials.hpp"

// What container networks are made of, each made once.

namespace surveyd::probes {

Finding verify_nftables(Trial& trial) {
  return verify_in_network(trial, "an nftables table", make_nftables_table);
}

Finding verify_bridge(Trial& trial) {
  return verify_link(trial, "a bridge", "bridge");
}

Finding verify_veth(Trial& trial) {
  return verify_link(trial, "a veth pair", "veth");
}

Finding verify_vxlan(Trial& trial) {
  return verify_link(trial, "a VXLAN link", "vxlan");
}

Finding verify_wireguard(Trial& trial) {
  return verify_link(trial, "a WireGuard link", "wireguard");
}

}  // namespace surveyd::probes
