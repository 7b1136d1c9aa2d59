#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

#include "cgroup/hierarchy.hpp"
#include "parse/systemd_unit.hpp"

namespace surveyd {

/// What a process runs in, as far as it decides what its reader can do. Good enough to word a
/// remedy; the `container` finding is what says whether it is one.
struct Surroundings {
  bool container = false;
  /// "podman", "docker", or what systemd or the runtime calls it; empty when nothing says so.
  std::string runtime;
  bool systemd = false;  ///< booted by systemd, as sd_booted(3) tells
  /// The unit that it belongs to outside of a container.
  std::optional<parse::SystemdUnit> unit;
  /// Files that runtimes leave, with the errno where there is none.
  std::vector<std::pair<const char*, std::optional<Error>>> markers;
};

[[nodiscard]] Surroundings find_surroundings(const Host& host, const cgroup::Namespaces& namespaces,
                                             const Result<std::string>& cgroup_file);

}  // namespace surveyd
