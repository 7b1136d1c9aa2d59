#include "probes/kernel_module.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

Finding vxlan(Subject& subject) {
  return kernel_module(subject, {"vxlan", "VXLAN", "a VXLAN link is made"});
}

Finding verify_vxlan(Trial& trial) {
  return trial.claim;
}

}  // namespace surveyd::probes
