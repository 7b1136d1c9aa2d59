#pragma once

#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>

namespace surveyd::probes {

/// The answer where something was tried with the process's own rights, in no namespace of its own,
/// and failed: unknown when this process only ran out of something, else no. A claim that was no
/// already has looked more closely at what stands in the way, and keeps its reason and remedy.
/// `what` was tried, as in "a virtual machine".
[[nodiscard]] Finding refused_in_place(Finding claim, const Error& error, const std::string& what);

}  // namespace surveyd::probes
