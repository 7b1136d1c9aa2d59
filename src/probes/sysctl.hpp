#pragma once

#include <optional>
#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd::probes {

/// A number below /proc/sys, under the name that sysctl(8) gives it: `net.ipv4.ip_forward`.
struct Sysctl {
  std::string name;
  std::optional<long long> value;
  std::optional<Error> error;  ///< why it could not be read; neither, when the text is no number

  [[nodiscard]] Evidence evidence() const;
  /// "user.max_user_namespaces cannot be read: EACCES: Permission denied".
  [[nodiscard]] std::string doubt() const;
  /// What such a doubt is worth: `unreadable`, or `out_of_resources`.
  [[nodiscard]] ReasonCode code() const;
};

[[nodiscard]] Sysctl read_sysctl(const Host& host, const std::string& name);

/// Whether this kernel has no such setting. A missing file alone may be a masked one, so a
/// neighbour that every kernel has must be there.
[[nodiscard]] bool is_absent(const Host& host, const Sysctl& setting, const char* neighbour);

/// In `/proc/sys/kernel` of every kernel since 3.2.
inline constexpr const char* kernel_neighbour = "/proc/sys/kernel/cap_last_cap";

/// Sets it now and at every boot.
[[nodiscard]] Remedy change_sysctl(const std::string& name, long long value);

}  // namespace surveyd::probes
