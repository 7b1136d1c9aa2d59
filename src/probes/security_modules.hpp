#pragma once

#include <surveyd/host.hpp>

namespace surveyd::probes {

/// Whether /sys shows what the kernel has: a container may have something else mounted there, and
/// then what is missing says nothing.
[[nodiscard]] inline bool sysfs_is_visible(const Host& host) {
  constexpr std::uint64_t sysfs_magic = 0x62656572;
  const auto mounted = host.file_system("/sys/module");
  return mounted && mounted->magic == sysfs_magic;
}

}  // namespace surveyd::probes
