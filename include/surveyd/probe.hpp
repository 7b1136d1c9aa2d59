#pragma once

#include <span>
#include <string>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

class Subject;
struct Trial;

/// One question to the kernel. The claim is cheap, repeatable, and leaves nothing behind. The
/// verification does the thing itself; it runs alone in a child process.
struct Probe {
  std::string id;       ///< of its finding
  std::string summary;  ///< what "yes" means, for people
  Finding (*claim)(Subject& subject) = nullptr;
  Finding (*verify)(Trial& trial) = nullptr;  ///< null where there is nothing more to do
  /// Of a probe that is asked once for each storage path: that path; of any other the first one,
  /// for what it may need it for. In the catalogue itself `storage_path`, and the id ends in
  /// `<path>`, or empty.
  std::string storage{};
};

inline constexpr const char* storage_path = "<path>";
inline constexpr const char* default_storage = "/var/lib";

/// Every probe there is, in the order in which findings are shown: a new one is a file in
/// src/probes and a line in catalogue.def.
[[nodiscard]] std::span<const Probe> catalogue();

/// The catalogue with the probes about storage repeated for each of these absolute paths. JSON,
/// gauges and the command line iterate this. The ids are unique: `overlayfs_on_var_lib`.
[[nodiscard]] std::vector<Probe> probes_for(const std::vector<std::string>& storage_paths);

/// Runs one probe and fills in the finding's id, time and duration.
[[nodiscard]] Finding run_probe(const Probe& probe, Subject& subject);

/// Runs the probes one after another in this thread.
[[nodiscard]] Findings run_probes(std::span<const Probe> probes, const Host& host,
                                  const ContainerPlan& plan);

}  // namespace surveyd
