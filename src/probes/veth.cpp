#include "probes/kernel_module.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

Finding veth(Subject& subject) {
  return kernel_module(subject, {"veth", "veth pairs", "a pair is made"});
}

Finding verify_veth(Trial& trial) {
  return trial.claim;
}

}  // namespace surveyd::probes
