#include "cli/subject_source.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include <surveyd/probe.hpp>

#include "host/pinned_process.hpp"
#include "host/real_host.hpp"
#include "host/systemd_unit.hpp"
#include "json/findings.hpp"

namespace surveyd::cli {
namespace {

constexpr std::chrono::milliseconds bus_deadline{2000};
constexpr std::chrono::milliseconds survey_deadline{5000};

// What the cgroup monitor goes by.
Findings own_findings(const ContainerPlan& plan) {
  const auto probes = catalogue();
  const auto probe = std::find_if(probes.begin(), probes.end(),
                                  [](const Probe& one) { return one.id == "cgroup_delegation"; });
  return run_probes({probe, 1}, RealHost{}, plan);
}

}  // namespace

SubjectSource::SubjectSource(const Settings& settings)
    : unit_(settings.subject_unit),
      pid_(settings.subject_pid),
      storage_(settings.storage),
      plan_(container_plan(settings)),
      surveyor_(json::parse_finding) {
  if (!unit_.empty()) return;
  const auto process = PinnedProcess::pin(pid_);
  if (!process)
    throw SubjectMissing("process " + std::to_string(pid_) +
                         " cannot be surveyed: " + to_string(process.error()));
  start_time_ = process->start_time();
}

Result<Findings> SubjectSource::survey_process(int pid, std::string& subject) {
  subject = unit_.empty() ? "pid " + std::to_string(pid)
                          : "unit " + unit_ + " (pid " + std::to_string(pid) + ")";
  const auto process = PinnedProcess::pin(pid, start_time_);
  if (!process) return process.error();
  return surveyor_.survey({.pid = pid,
                           .start_time = process->start_time(),
                           .owner = {},
                           .storage = storage_,
                           .plan = {.name = plan_.name, .base = plan_.base}},
                          survey_deadline);
}

ForeignSurvey SubjectSource::survey() {
  ForeignSurvey foreign{"unit " + unit_, Findings{}, own_findings(plan_)};
  if (unit_.empty()) {
    foreign.findings = survey_process(pid_, foreign.subject);
    return foreign;
  }
  const auto pid = main_pid_of_unit(unit_, bus_deadline);
  foreign.findings = pid ? survey_process(*pid, foreign.subject) : Result<Findings>{pid.error()};
  return foreign;
}

void SubjectSource::report(const Snapshot& snapshot) {
  const bool gone = snapshot.failure.has_value();
  if (std::exchange(gone_, gone) == gone) return;
  if (gone)
    spdlog::warn("{} cannot be surveyed: {}", snapshot.survey.run.subject,
                 to_string(*snapshot.failure));
  else
    spdlog::info("{} is surveyed again", snapshot.survey.run.subject);
}

Survey about_surveyd(const Snapshot& snapshot) {
  Survey survey;
  survey.findings = snapshot.survey.own;
  survey.run = snapshot.survey.run;
  return survey;
}

std::shared_ptr<SubjectSource> make_subject_source(const Settings& settings) {
  return std::make_shared<SubjectSource>(settings);
}

}  // namespace surveyd::cli
