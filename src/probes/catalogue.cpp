#include <array>
#include <chrono>

#include <surveyd/probe.hpp>

#include "probes/subject.hpp"

namespace surveyd {
namespace probes {

#define PROBE(id, summary) Finding id(Subject& subject);
#include "probes/catalogue.def"
#undef PROBE

}  // namespace probes

std::span<const Probe> catalogue() {
#define PROBE(id, summary) Probe{#id, summary, probes::id},
  static constexpr std::array all = {
#include "probes/catalogue.def"
  };
#undef PROBE
  return all;
}

Finding run_probe(const Probe& probe, Subject& subject) {
  const auto begin = std::chrono::steady_clock::now();
  Finding finding = probe.run(subject);
  finding.id = probe.id;
  finding.duration = std::chrono::steady_clock::now() - begin;
  return finding;
}

Findings run_probes(std::span<const Probe> probes, const Host& host, const ContainerPlan& plan) {
  Subject subject{host, plan};
  std::vector<Finding> findings;
  findings.reserve(probes.size());
  for (const Probe& probe : probes) findings.push_back(run_probe(probe, subject));
  return Findings{std::move(findings)};
}

}  // namespace surveyd
