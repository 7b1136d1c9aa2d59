#pragma once

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

/// Makes a virtual machine without memory and processors on this device node, and drops it
/// (KVM_CREATE_VM). ENOTTY when the node is not the KVM device 10:232: nothing is asked of it then.
[[nodiscard]] Result<void> try_virtual_machine(PathRef device);

}  // namespace surveyd
