#pragma once

#include <cstdint>

#include <surveyd/host.hpp>

namespace surveyd {

/// What this process uses, for the standard process metrics. 0 where it could not be read.
struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;  ///< RLIMIT_NOFILE
  double started_at = 0;               ///< seconds since the epoch
};

/// From `/proc/self/statm`, `/proc/self/stat`, `/proc/self/fd` and `/proc/stat`.
[[nodiscard]] ProcessUsage process_usage(const Host& host);

/// User and system time of all threads, without `/proc`.
[[nodiscard]] double process_cpu_seconds();

}  // namespace surveyd
