#pragma once

#include <span>
#include <string>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

class Subject;

/// One question to the kernel. Cheap, repeatable, and leaves nothing behind.
struct Probe {
  const char* id;       ///< of its finding
  const char* summary;  ///< what "yes" means, for people
  Finding (*run)(Subject& subject);
};

/// Every probe there is, in the order in which findings are shown. JSON, gauges and documentation
/// iterate it: a new probe is a file in src/probes and a line in catalogue.def.
[[nodiscard]] std::span<const Probe> catalogue();

/// Runs one probe and fills in the finding's id and duration.
[[nodiscard]] Finding run_probe(const Probe& probe, Subject& subject);

/// Runs the probes one after another in this thread.
[[nodiscard]] Findings run_probes(std::span<const Probe> probes, const Host& host,
                                  const ContainerPlan& plan);

}  // namespace surveyd
