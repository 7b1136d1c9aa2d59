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

/// The claims of the survey's own fields and of what decides them: the catalogue up to the
/// container parent.
inline std::vector<Probe> p0_probes() {
  std::vector<Probe> probes = probes_for({default_storage});
  const auto last = std::find_if(probes.begin(), probes.end(), [](const Probe& probe) {
    return probe.id == "cgroup_delegation";
  });
  probes.erase(last + 1, probes.end());
  return probes;
}

inline std::vector<Probe> every_probe() {
  return probes_for({default_storage});
}

}  // namespace surveyd::bench
