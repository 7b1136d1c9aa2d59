#pragma once

#include <string>
#include <vector>

#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd::probes {

/// What the unit that surveyd was started by takes away from it, in words; empty without a unit,
/// and when it takes nothing away. It does not change while the process lives.
[[nodiscard]] std::string find_sandbox(const Host& host);

/// Says so in the evidence of every finding that was refused something. What is not there, or has
/// nothing to do with rights, is left as it is.
[[nodiscard]] Findings name_sandbox(Findings findings, const std::string& sandbox);

}  // namespace surveyd::probes
