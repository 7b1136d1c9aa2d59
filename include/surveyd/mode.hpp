#pragma once

#include <string>
#include <variant>
#include <vector>

#include <surveyd/finding.hpp>

namespace surveyd {

/// How an orchestrator has to run here.
enum class Mode {
  full,             ///< the host is ours: cgroup root, networking, TUN
  nested_adaptive,  ///< inside somebody's cgroup: work within the own scope
  degraded,         ///< no cgroup that containers could go into
};

[[nodiscard]] const char* to_string(Mode mode);

/// A requirement of mode `full` that does not hold, and why.
struct Unmet {
  std::string capability;  ///< one of the four fields that decide mode `full`
  std::string reason;
};

struct Classification {
  Mode mode = Mode::degraded;
  std::vector<Unmet> unmet_for_full;  ///< empty exactly when the mode is full
};

/// The reference's mode, from the reference's fields:
/// full = not nested, cgroup root writable, CAP_NET_ADMIN, TUN; nested_adaptive = otherwise, if the
/// cgroup root can be written or a cgroup parent is known; degraded = otherwise.
/// An unknown finding counts as not met.
[[nodiscard]] Classification classify(const Findings& findings);

/// Null, a truth value or a text, as the field of the reference has it.
using FieldValue = std::variant<std::monostate, bool, std::string>;

/// A field in which the reference claims something else than what holds.
struct Disagreement {
  std::string field;
  FieldValue reference;
  FieldValue assessed;
  std::string why;
};

struct Assessment {
  Mode mode = Mode::degraded;
  std::vector<Disagreement> disagreements;
};

/// The mode from better evidence that is just as cheap: namespaces instead of the cgroup path, what
/// the cgroups really accept and offer, the TUN device's number, and what was verified. `reference`
/// is what `classify` said of the claims, to explain each difference field by field. A field that a
/// verification contradicts is listed even where the modes agree.
[[nodiscard]] Assessment assess(const Findings& claims, const Findings& findings, Mode reference);
/// Nothing was verified.
[[nodiscard]] inline Assessment assess(const Findings& claims, Mode reference) {
  return assess(claims, claims, reference);
}

}  // namespace surveyd
