#include "probes/kernel_module.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

Finding wireguard(Subject& subject) {
  return kernel_module(subject, {"wireguard", "WireGuard", "a WireGuard link is made", {5, 6}});
}

Finding verify_wireguard(Trial& trial) {
  return trial.claim;
}

}  // namespace surveyd::probes
