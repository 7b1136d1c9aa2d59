#pragma once

#include <surveyd/finding.hpp>

namespace surveyd {

/// The TUN driver registers misc device 10:200 (Documentation/admin-guide/devices.txt).
inline constexpr const char* tun_device_number = "10:200";

/// A node of that name that opens proves little: it can be a regular file or another device.
[[nodiscard]] inline bool tun_is_genuine(const Findings& findings) {
  return findings.is_yes("tun_device_available") &&
         findings.value("tun_device_available") == tun_device_number;
}

}  // namespace surveyd
