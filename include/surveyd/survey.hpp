#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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
  std::string subject = "self";      ///< whose surroundings: "pid 7", "unit x.service (pid 7)"
};

/// An answer that is another one than in the survey before.
struct Change {
  std::uint64_t generation = 0;  ///< of the survey that shows it
  std::chrono::system_clock::time_point at{};
  std::string what;  ///< the id of a finding, `effective_mode` or `assessed_mode`
  std::string from;
  std::string to;
  std::string from_code;  ///< reason codes; empty for a mode
  std::string to_code;
  std::string reason;  ///< one sentence
};

inline constexpr std::size_t most_changes_kept = 256;

/// All that one survey found and what follows from it. Immutable once published.
struct Survey {
  Findings findings;  ///< what was claimed, or verified where that was done
  /// About surveyd's own cgroups, where the rest is about another process; else empty.
  Findings own;
  Capabilities capabilities;
  std::vector<Unmet> unmet_for_full;
  Assessment assessment;
  OverlayDecision overlay;
  RootfsDecision rootfs;
  SurveyRun run;
  /// Up to this survey, the last ones of this process, oldest first; never null.
  std::shared_ptr<const std::vector<Change>> changes =
      std::make_shared<const std::vector<Change>>();

  /// Those of them that this very survey shows.
  [[nodiscard]] std::span<const Change> new_changes() const;
};

/// Draws the conclusions from the findings; makes no system call. The fields of the reference, and
/// its mode, follow from the claims, as it defines them; every decision of surveyd's own follows
/// from `findings`, in which a verified answer has taken the place of a claim.
[[nodiscard]] Survey conclude(Findings claims, Findings findings, SurveyRun run);
/// Nothing was verified.
[[nodiscard]] Survey conclude(Findings claims, SurveyRun run);

/// Dates every answer from when it became what it is, and adds what is new to the changes.
void compare_with(const Survey& before, Survey& after);

}  // namespace surveyd
