#include "probes/system_call.hpp"

namespace surveyd::probes {

Finding clone3(Subject& subject) {
  return system_call(subject,
                     {KernelCall::clone3,
                      "clone3",
                      {5, 3},
                      "glibc falls back to clone only on ENOSYS, so programs with glibc 2.34 or "
                      "later cannot make threads",
                      "RestrictNamespaces=no"});
}

}  // namespace surveyd::probes
