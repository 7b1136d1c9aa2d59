#include "cli/once.hpp"

#include <algorithm>
#include <iostream>

#include <surveyd/probe.hpp>

#include "host/real_host.hpp"
#include "json/findings.hpp"
#include "run/verifier.hpp"

namespace surveyd::cli {
namespace {

// A verified answer in the place of its claim; a claim that could not be verified says so.
Findings verify(const Settings& settings, const Ids& ids, Findings findings) {
  run::Verifier verifier{json::parse_finding};
  const auto verified = verifier.verify(verification_order(settings, ids));
  if (!verified) {
    std::cerr << "surveyd: nothing could be verified: " << to_string(verified.error()) << "\n";
    return findings;
  }
  for (Finding& finding : findings.all())
    for (const run::Verification& one : *verified)
      if (one.finding.id == finding.id) finding = one.finding;
  return findings;
}

}  // namespace

run::VerificationOrder verification_order(const Settings& settings, const Ids& ids) {
  return {.ids = ids,
          .storage = settings.storage,
          .plan = container_plan(settings),
          .may_load_modules = settings.allow_module_loading};
}

Ids verifiable(const Settings& settings) {
  Ids ids;
  for (const Probe& probe : probes_for(settings.storage))
    if (probe.verify != nullptr) ids.push_back(probe.id);
  return ids;
}

Ids verifiable(const Settings& settings, const Ids& wanted) {
  Ids ids = verifiable(settings);
  std::erase_if(ids, [&wanted](const std::string& id) {
    return std::find(wanted.begin(), wanted.end(), id) == wanted.end();
  });
  return ids;
}

Survey survey_once(const Settings& settings, const Ids& to_verify) {
  const RealHost host;
  SurveyRun run;
  run.generation = 1;
  run.surveyed_at = std::chrono::system_clock::now();
  const auto begun = std::chrono::steady_clock::now();
  Findings claims = run_probes(probes_for(settings.storage), host, container_plan(settings));
  run.duration = std::chrono::steady_clock::now() - begun;
  if (to_verify.empty()) return conclude(std::move(claims), run);
  Findings findings = verify(settings, to_verify, claims);
  return conclude(std::move(claims), std::move(findings), run);
}

}  // namespace surveyd::cli
