#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

#include "host/isolation.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

/// Why something that was tried does not work.
struct Failure {
  Error error;
  bool was_accepted = false;  ///< the kernel took it first, and then it failed
};

/// The thing itself, in namespaces that are entered already; nothing when it works.
using Deed = std::function<std::optional<Failure>(Rights rights)>;

/// What came of it.
struct Attempts {
  std::optional<Rights> works;     ///< with whose rights it does
  std::optional<Failure> failure;  ///< else what decided
  bool was_isolated = false;       ///< it came to the thing itself
  std::vector<Evidence> evidence;  ///< what came of each try
};

/// Does it in new namespaces with these rights; true when it works.
[[nodiscard]] bool attempt_with(Rights rights, int namespaces, const Deed& deed,
                                Attempts& attempts);

/// Does it in new namespaces with the own rights, and where it does not work with these, in a new
/// user namespace as well. What decides of two failures is the one that came further.
[[nodiscard]] Attempts attempt(int namespaces, const Deed& deed);

/// The whole answer. `what` is what was tried, as in "an overlay on /var/lib".
[[nodiscard]] Finding conclude(Trial& trial, const Attempts& attempts, const std::string& what);

/// "with the own rights", "in an own user namespace".
[[nodiscard]] const char* shown(Rights rights);

/// "mount(overlay): EPERM: Operation not permitted", or what a program complained of.
[[nodiscard]] std::string describe_step(const Error& error);
[[nodiscard]] Evidence evidence_of(const std::string& with, const Error& error);

/// The claim with the answer that trying gave. Its remedy stays where a no was claimed and found.
[[nodiscard]] Finding verified(Finding claim, Status status, ReasonCode code, std::string reason);

/// The answer when it failed: no, or unknown when only this process ran out of something. The
/// reason names what is known to refuse such things here.
[[nodiscard]] Finding refused(Finding claim, const Host& host, const Failure& failure,
                              const std::string& what);

/// The answer where the storage path takes no directory to try it in: no where that is refused,
/// else unknown; and what was claimed where that was a no already.
[[nodiscard]] Finding without_scratch(const Trial& trial, const std::string& what);

/// The claim as it stands, where trying would make the kernel load the module of this file system.
[[nodiscard]] std::optional<Finding> spare_module(const Trial& trial, const std::string& module);

}  // namespace surveyd::probes
