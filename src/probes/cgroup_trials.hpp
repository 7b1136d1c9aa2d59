#pragma once

#include <optional>
#include <string>
#include <vector>

#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

/// What came of trying something in a scratch cgroup.
struct CgroupTrial {
  std::optional<Failure> failure;   ///< what decided; nothing when it works
  std::vector<Evidence> evidence;   ///< each step
  std::vector<std::string> usable;  ///< controllers that a cgroup there has and can enable
};

/// Makes a cgroup in this one, enables each controller that it is given for its children, one by
/// one, and removes it. `place` is a directory on the machine. Nothing is enabled in the place.
[[nodiscard]] CgroupTrial try_directory(const Host& host, const std::string& place);

/// Makes a cgroup in this one, moves the process into it, limits its processes where it has the
/// controller for that, kills what lives in it, and removes it: the life of a container.
[[nodiscard]] CgroupTrial try_container(const Host& host, const std::string& place, int pid);

/// The claim with what was seen, and the answer when it failed. `what` was tried, as in "a
/// directory in /sys/fs/cgroup".
[[nodiscard]] Finding refused_by_tree(Finding claim, const CgroupTrial& trial,
                                      const std::string& what);

/// Whether a place accepts a directory and offers one of cpu, memory, pids, as `try_directory`
/// finds it.
[[nodiscard]] Finding verify_place(Trial& trial, const cgroup::Place& place);

/// The claim as it stands, where nothing can be tried.
[[nodiscard]] Finding nothing_to_try(const Trial& trial, const std::string& why);

}  // namespace surveyd::probes
