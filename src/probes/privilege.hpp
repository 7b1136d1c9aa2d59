#pragma once

#include <string>

#include <surveyd/finding.hpp>

#include "probes/inquiry.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

/// How far a capability of this process reaches.
struct Privilege {
  Status effective = Status::unknown;     ///< it is in the effective set
  Status over_machine = Status::unknown;  ///< and the user namespace is the initial one
  ReasonCode code = ReasonCode::available;
  std::string lack;  ///< one clause that says what is missing for `over_machine`
  std::optional<Remedy> remedy{};
};

/// `name` is that of the capability: "CAP_SYS_ADMIN".
[[nodiscard]] Privilege privilege_of(Subject& subject, int capability, const std::string& name,
                                     Inquiry& inquiry);

/// Whether it reaches over the machine; objects where not.
bool require(const Privilege& privilege, Inquiry& inquiry);

}  // namespace surveyd::probes
