#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <surveyd/finding.hpp>

namespace surveyd {

/// Nothing when overlay networking is viable, else a sentence that names what is missing.
[[nodiscard]] std::optional<std::string> capability_overlay_fallback(bool has_cap_net_admin,
                                                                     bool tun_device_available);

/// True only if not root, no effective CAP_NET_ADMIN (else the simpler privileged path applies),
/// TUN opens, and the `pasta` helper is on PATH.
[[nodiscard]] bool can_rootless_overlay(bool is_root, bool has_cap_net_admin,
                                        bool tun_device_available, bool pasta_available);

/// `<scope>/containers`. A trailing `/init` of the scope is stripped first, and trailing slashes,
/// so that the answer is the same before and after the daemon moved into its leaf.
[[nodiscard]] std::string container_parent_for(std::string_view scope);

struct OverlayDecision {
  const char* network = "host";  ///< "overlay", "rootless_overlay" or "host"
  std::optional<std::string> fallback_reason;
  bool rootless_possible = false;
};

/// Follows the evidence: a TUN node that is not the TUN device does not count.
[[nodiscard]] OverlayDecision decide_overlay(const Findings& findings);

struct RootfsDecision {
  const char* driver = "none";  ///< "overlayfs", "fuse-overlayfs" or "none"
  std::optional<std::string> fusermount;
};

[[nodiscard]] RootfsDecision decide_rootfs(const Findings& findings);

}  // namespace surveyd
