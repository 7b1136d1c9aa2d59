#include <surveyd/decisions.hpp>

#include "domain/evidence.hpp"

namespace surveyd {

std::optional<std::string> capability_overlay_fallback(bool has_cap_net_admin,
                                                       bool tun_device_available) {
  if (has_cap_net_admin && tun_device_available) return std::nullopt;
  std::string missing;
  if (!has_cap_net_admin) missing = "CAP_NET_ADMIN is not in the effective set";
  if (!tun_device_available)
    missing += std::string{missing.empty() ? "" : " and "} + "/dev/net/tun is not usable";
  return "no overlay network: " + missing;
}

bool can_rootless_overlay(bool is_root, bool has_cap_net_admin, bool tun_device_available,
                          bool pasta_available) {
  return !is_root && !has_cap_net_admin && tun_device_available && pasta_available;
}

std::string container_parent_for(std::string_view scope) {
  const auto strip_slashes = [&scope] {
    while (scope.ends_with('/')) scope.remove_suffix(1);
  };
  strip_slashes();
  if (scope.ends_with("/init")) scope.remove_suffix(5);
  strip_slashes();
  return std::string{scope} + "/containers";
}

OverlayDecision decide_overlay(const Findings& findings) {
  const bool net_admin = findings.is_yes("has_cap_net_admin");
  const bool tun = tun_is_genuine(findings);
  OverlayDecision decision;
  decision.fallback_reason = capability_overlay_fallback(net_admin, tun);
  decision.rootless_possible = can_rootless_overlay(findings.is_yes("is_root"), net_admin, tun,
                                                    findings.is_yes("pasta_available"));
  if (!decision.fallback_reason)
    decision.network = "overlay";
  else if (decision.rootless_possible)
    decision.network = "rootless_overlay";
  return decision;
}

RootfsDecision decide_rootfs(const Findings& findings) {
  RootfsDecision decision;
  if (findings.is_yes("overlayfs_rootfs_available"))
    decision.driver = "overlayfs";
  else if (findings.is_yes("fuse_overlayfs_rootfs_available"))
    decision.driver = "fuse-overlayfs";
  if (const std::string path = findings.value("fuse_overlayfs_rootfs_available"); !path.empty())
    decision.fusermount = path;
  return decision;
}

}  // namespace surveyd
