#pragma once

#include <functional>
#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>

#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

/// Makes something in a network namespace of its own. The claim stands where the kernel might load
/// a module for it. `what` is made, as in "a bridge".
[[nodiscard]] Finding verify_in_network(Trial& trial, const std::string& what,
                                        const std::function<Result<void>()>& make);
/// A link of this kind (`make_link`).
[[nodiscard]] Finding verify_link(Trial& trial, const std::string& what, const char* kind);

/// Why trying might make the kernel load a module; empty when it cannot, or may.
[[nodiscard]] std::string may_load_module(const Trial& trial);

/// The answer to what was tried: `kernel_lacks` where the kernel says that it has no such thing.
[[nodiscard]] Finding conclude_in_network(Trial& trial, const Attempts& attempts,
                                          const std::string& what);

}  // namespace surveyd::probes
