#include "probes/kernel_module.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

Finding bridge(Subject& subject) {
  return kernel_module(subject, {"bridge", "bridges", "a bridge is made"});
}

Finding verify_bridge(Trial& trial) {
  return trial.claim;
}

}  // namespace surveyd::probes
