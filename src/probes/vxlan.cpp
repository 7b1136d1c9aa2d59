#include "probes/kernel_module.hpp"

namespace surveyd::probes {

Finding vxlan(Subject& subject) {
  return kernel_module(subject, {"vxlan", "VXLAN", "a VXLAN link is made"});
}

}  // namespace surveyd::probes
