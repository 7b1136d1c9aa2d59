#include <algorithm>
#include <cctype>
#include <chrono>

#include <surveyd/probe.hpp>

#include "probes/answer.hpp"
#include "probes/subject.hpp"
#include "probes/trial.hpp"

namespace surveyd {
namespace probes {

#define PROBE(id, summary) Finding id(Subject& subject);
#define VERIFIED(id, summary)   \
  Finding id(Subject& subject); \
  Finding verify_##id(Trial& trial);
#define STORAGE(id, summary) VERIFIED(id, summary)
#include "probes/catalogue.def"
#undef PROBE
#undef VERIFIED
#undef STORAGE

}  // namespace probes

std::span<const Probe> catalogue() {
#define PROBE(id, summary) Probe{#id, summary, probes::id},
#define VERIFIED(id, summary) Probe{#id, summary, probes::id, probes::verify_##id},
#define STORAGE(id, summary)                                                           \
  Probe{std::string{#id "_"} + storage_path, summary, probes::id, probes::verify_##id, \
        storage_path},
  static const std::vector<Probe> all = {
#include "probes/catalogue.def"
  };
#undef PROBE
#undef VERIFIED
#undef STORAGE
  return all;
}

namespace {

// "/var/lib/containers" -> "var_lib_containers"; "/" -> "root".
std::string name_of(const std::string& path) {
  std::string name;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0)
      name += static_cast<char>(std::tolower(byte));
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  while (name.ends_with('_')) name.pop_back();
  return name.empty() ? "root" : name;
}

// Whatever a probe makes of a file that it cannot read, the cause is not the file where this
// process ran out.
void name_shortage(Finding& finding) {
  if (finding.status != Status::unknown || finding.code != ReasonCode::unreadable) return;
  const bool ran_out =
      std::any_of(finding.evidence.begin(), finding.evidence.end(), [](const Evidence& one) {
        return one.error &&
               probes::code_of(Error{.code = one.error}) == ReasonCode::out_of_resources;
      });
  if (ran_out) finding.code = ReasonCode::out_of_resources;
}

}  // namespace

std::vector<Probe> probes_for(const std::vector<std::string>& storage_paths) {
  std::vector<Probe> probes;
  const auto is_taken = [&probes](const std::string& id) {
    return std::any_of(probes.begin(), probes.end(),
                       [&id](const Probe& probe) { return probe.id == id; });
  };
  for (const Probe& probe : catalogue()) {
    if (probe.storage.empty()) {
      probes.push_back(probe);
      if (!storage_paths.empty()) probes.back().storage = storage_paths.front();
      continue;
    }
    for (auto path = storage_paths.begin(); path != storage_paths.end(); ++path) {
      if (std::find(storage_paths.begin(), path, *path) != path) continue;  // given twice
      Probe one = probe;
      const std::string stem = probe.id.substr(0, probe.id.size() - probe.storage.size());
      one.storage = *path;
      one.id = stem + name_of(*path);
      for (int again = 2; is_taken(one.id); ++again)
        one.id = stem + name_of(*path) + "_" + std::to_string(again);
      probes.push_back(one);
    }
  }
  return probes;
}

Finding run_probe(const Probe& probe, Subject& subject) {
  const auto begin = std::chrono::steady_clock::now();
  subject.ask_about(probe.storage);
  Finding finding = probe.claim(subject);
  name_shortage(finding);
  finding.id = probe.id;
  finding.checked_at = finding.changed_at = std::chrono::system_clock::now();
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
