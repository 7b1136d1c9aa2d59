#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <surveyd/probe.hpp>

namespace surveyd::bench {

/// The probes behind the seven reference fields: all but the two overlay ones. The seventh field,
/// the mode, follows from the other six.
inline std::vector<Probe> reference_probes() {
  static constexpr std::array<std::string_view, 6> ids = {
      "is_root",           "is_nested",           "cgroup_parent", "can_write_cgroup_root",
      "has_cap_net_admin", "tun_device_available"};
  std::vector<Probe> probes;
  for (const Probe& probe : catalogue())
    if (std::find(ids.begin(), ids.end(), probe.id) != ids.end()) probes.push_back(probe);
  return probes;
}

}  // namespace surveyd::bench
