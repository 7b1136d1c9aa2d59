#include "probes/kernel_module.hpp"

namespace surveyd::probes {

Finding bridge(Subject& subject) {
  return kernel_module(subject, {"bridge", "bridges", "a bridge is made"});
}

}  // namespace surveyd::probes
