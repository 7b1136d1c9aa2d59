#include "probes/kernel_module.hpp"

namespace surveyd::probes {

Finding wireguard(Subject& subject) {
  return kernel_module(subject, {"wireguard", "WireGuard", "a WireGuard link is made", {5, 6}});
}

}  // namespace surveyd::probes
