#pragma once

#include <optional>
#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>

#include "probes/subject.hpp"

namespace surveyd {

/// One verification: what it may use, alone in a process without threads that ends after it. It may
/// enter namespaces, mount and fork as it likes; what outlives a process (directories, cgroups) it
/// removes itself, and whoever runs it removes the scratch directory.
struct Trial {
  Subject& subject;
  Finding claim;  ///< what the probe claims, made in the same process
  /// A new directory on the storage path, for this trial alone; or why there is none.
  Result<std::string> scratch;
  bool may_load_modules = false;
};

}  // namespace surveyd
