#include "probes/system_call.hpp"

namespace surveyd::probes {

Finding openat2(Subject& subject) {
  return system_call(subject, {KernelCall::openat2, "openat2", {5, 6}, "", "RestrictSUIDSGID=no"});
}

}  // namespace surveyd::probes
