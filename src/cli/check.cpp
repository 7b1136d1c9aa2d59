#include <algorithm>
#include <iostream>
#include <string>

#include "cli/commands.hpp"
#include "cli/once.hpp"

namespace surveyd::cli {
namespace {

bool holds(const char* what, Mode mode, const std::string& wanted) {
  if (wanted.empty() || wanted == to_string(mode)) return true;
  std::cerr << "surveyd: " << what << " is " << to_string(mode) << ", not " << wanted << "\n";
  return false;
}

}  // namespace

int check(const Settings& settings) {
  const Ids tried = settings.verified ? verifiable(settings, settings.required) : Ids{};
  const Survey survey = survey_once(settings, tried);
  bool all = true;
  if (!holds("effective_mode", survey.capabilities.effective_mode, settings.mode)) {
    all = false;
    for (const Unmet& unmet : survey.unmet_for_full)
      std::cerr << "surveyd: " << unmet.capability << ": " << unmet.reason << "\n";
  }
  if (!holds("assessed_mode", survey.assessment.mode, settings.assessed_mode)) {
    all = false;
    for (const char* id : {"container", "cgroup_host_placement", "cgroup_scope_placement"})
      std::cerr << "surveyd: " << id << ": " << survey.findings.reason(id) << "\n";
  }
  for (const std::string& id : settings.required) {
    const bool has_to_be_verified = std::find(tried.begin(), tried.end(), id) != tried.end();
    const Basis basis = survey.findings.find(id)->basis;
    if (survey.findings.is_yes(id) && (!has_to_be_verified || basis == Basis::verified)) continue;
    all = false;
    std::cerr << "surveyd: " << id << " is " << to_string(survey.findings.status(id)) << ": "
              << (survey.findings.is_yes(id) ? "claimed only, and not verified: " : "")
              << survey.findings.reason(id) << "\n";
  }
  return leave(all ? 0 : 1);
}

}  // namespace surveyd::cli
