#include "host/virtual_machine.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "host/unique_fd.hpp"

namespace surveyd {

Result<void> try_virtual_machine(PathRef device) {
  constexpr const char* op = "ioctl(KVM_CREATE_VM)";
  const dev_t kvm = makedev(10, 232);  // Documentation/admin-guide/devices.txt
  const UniqueFd node{::open(device.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!node) return os_error(errno, "open", device.c_str());
  struct stat status {};
  if (::fstat(node.get(), &status) != 0) return os_error(errno, "fstat", device.c_str());
  // To another driver the same number may mean anything.
  if (!S_ISCHR(status.st_mode) || status.st_rdev != kvm)
    return os_error(ENOTTY, op, device.c_str());
  const UniqueFd machine{::ioctl(node.get(), KVM_CREATE_VM, 0UL)};
  if (!machine) return os_error(errno, op, device.c_str());
  return {};
}

}  // namespace surveyd
