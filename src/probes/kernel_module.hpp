#pragma once

#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

/// A part of the kernel that can be built as a module.
struct KernelModule {
  const char* name;              ///< of the module, with `_`
  const char* feature;           ///< what people call it
  const char* use;               ///< what makes the kernel load it: "a bridge is made"
  parse::KernelVersion since{};  ///< Linux has it; 0.0 for ever
};

/// Whether the running kernel has it, built in or loaded, or can load it at first use. Whether this
/// process may use it is another question.
[[nodiscard]] Finding kernel_module(Subject& subject, const KernelModule& module);

}  // namespace surveyd::probes
