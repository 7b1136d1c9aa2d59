#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace surveyd::parse {

/// The parts of `/proc/<pid>/stat` (proc(5)) that surveyd asks for.
struct ProcessStat {
  std::string command;
  char state = 0;      ///< 'R', 'S', 'D', 'Z', …
  int parent = 0;      ///< 0 of the first process, and when it is not in our pid namespace
  unsigned flags = 0;  ///< PF_… of include/linux/sched.h
  /// In clock ticks since the system came up; 0 when the text ends before it. With the pid it names
  /// one process for ever.
  std::uint64_t start_time = 0;

  /// PF_KTHREAD: a thread of the kernel's own.
  [[nodiscard]] bool is_kernel_thread() const { return (flags & 0x00200000U) != 0; }
  /// PF_EXITING: on its way out, and no longer moved between cgroups.
  [[nodiscard]] bool is_exiting() const { return (flags & 0x00000004U) != 0; }
};

/// Nothing when the text is not of that form. A command may hold spaces and brackets.
[[nodiscard]] std::optional<ProcessStat> process_stat(std::string_view text);

}  // namespace surveyd::parse
