#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <surveyd/decisions.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/mode.hpp>

namespace surveyd {

/// The nine survey fields of ZLayer's `zlayer_agent::capability`, names and meanings as there.
struct Capabilities {
  bool is_root = false;
  bool is_nested = false;
  std::optional<std::string> cgroup_parent;
  bool can_write_cgroup_root = false;
  bool has_cap_net_admin = false;
  bool tun_device_available = false;
  bool overlayfs_rootfs_available = false;
  bool fuse_overlayfs_rootfs_available = false;
  Mode effective_mode = Mode::degraded;
};

/// When and how a survey was taken.
struct SurveyRun {
  std::uint64_t generation = 0;  ///< counts from 1, one for each survey of this process
  std::chrono::system_clock::time_point surveyed_at{};
  std::chrono::nanoseconds duration{0};
  std::chrono::seconds interval{0};  ///< 0 for a survey that is not repeated
  bool stale = false;                ///< a later survey did not finish: this is the last good one
};

/// All that one survey found and what follows from it. Immutable once published.
struct Survey {
  Findings findings;
  Capabilities capabilities;
  std::vector<Unmet> unmet_for_full;
  Assessment assessment;
  OverlayDecision overlay;
  RootfsDecision rootfs;
  SurveyRun run;
};

/// Draws the conclusions from the findings; makes no system call.
[[nodiscard]] Survey conclude(Findings findings, SurveyRun run);

}  // namespace surveyd
