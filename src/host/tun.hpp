#pragma once

#include <string>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

/// Makes a TUN interface of this device node in the network namespace of this process, and drops it
/// again (linux/if_tun.h); returns the name that the kernel gave it. The errors are those of
/// open(2) and of ioctl(TUNSETIFF).
[[nodiscard]] Result<std::string> try_tun_interface(PathRef device);

}  // namespace surveyd
