#include "host/tun.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "host/unique_fd.hpp"

namespace surveyd {

Result<std::string> try_tun_interface(PathRef device) {
  // The descriptor belongs to the network namespace in which it is opened, and to its owner.
  const UniqueFd file{::open(device.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  if (!file) return os_error(errno, "open", device.c_str());
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;  // not persistent: gone with the descriptor
  if (::ioctl(file.get(), TUNSETIFF, &request) != 0)
    return os_error(errno, "ioctl(TUNSETIFF)", device.c_str());
  return std::string{request.ifr_name};
}

}  // namespace surveyd
