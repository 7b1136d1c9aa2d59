#include "probes/kernel_module.hpp"

namespace surveyd::probes {

Finding veth(Subject& subject) {
  return kernel_module(subject, {"veth", "veth pairs", "a pair is made"});
}

}  // namespace surveyd::probes
