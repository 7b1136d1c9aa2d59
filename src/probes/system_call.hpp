#pragma once

#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

/// A system call that old kernels lack and filters refuse.
struct SystemCall {
  KernelCall call;
  const char* name;
  parse::KernelVersion since;  ///< Linux has it
  const char* consequence;     ///< of its refusal with EPERM; may be empty
  /// What lifts a filter of systemd's own that answers ENOSYS to the call; may be empty.
  const char* unit_setting = "";
};

/// Whether the call reaches the kernel from this process.
[[nodiscard]] Finding system_call(Subject& subject, const SystemCall& what);

}  // namespace surveyd::probes
