#include "cli/once.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <system_error>

#include <boost/asio/io_context.hpp>

#include <surveyd/probe.hpp>
#include <surveyd/surveyor.hpp>

#include "host/real_host.hpp"
#include "json/findings.hpp"
#include "run/verified_results.hpp"

namespace surveyd::cli {
namespace {

/// Everything that a survey uses. A thread that hangs in a probe may use it until the very end.
struct Session {
  explicit Session(const Settings& settings)
      : probes(probes_for(settings.storage)), results(host, settings.storage) {}

  RealHost host;
  std::vector<Probe> probes;
  run::VerifiedResults results;
  boost::asio::io_context context{1};
  std::optional<Surveyor> surveyor;
};

bool hangs = false;

void verify(Session& session, const run::VerificationOrder& order) {
  run::Surroundings before = session.results.surroundings();
  run::Verifier verifier{json::parse_finding};
  auto verified = verifier.verify(order);
  if (verified)
    session.results.add(std::move(*verified), std::move(before));
  else
    std::cerr << "surveyd: nothing can be verified: " << to_string(verified.error()) << "\n";
}

// Where no thread is to be had (a seccomp filter that refuses clone3, a limit on processes), in
// this one, without deadlines.
Survey survey_here(Session& session, const ContainerPlan& plan) {
  SurveyRun run{.generation = 1, .surveyed_at = std::chrono::system_clock::now()};
  const auto begun = std::chrono::steady_clock::now();
  Findings claims = run_probes(session.probes, session.host, plan);
  Findings findings = session.results.replace(claims);
  run.duration = std::chrono::steady_clock::now() - begun;
  return conclude(std::move(claims), std::move(findings), run);
}

// The surveyor of the daemon, for one survey.
Survey survey_guarded(Session& session, const ContainerPlan& plan) {
  SurveyorSettings settings;
  settings.interval = std::chrono::seconds{0};
  settings.plan = plan;
  settings.replace_claims = [&session](const Findings& claims) {
    return session.results.replace(claims);
  };
  try {
    session.surveyor.emplace(
        session.context.get_executor(), session.host, session.probes, settings,
        [](const Survey&) { return Documents{}; }, [](const Surveyor::Published&) {});
  } catch (const std::system_error&) {
    return survey_here(session, plan);
  }
  Surveyor::Published published;
  session.surveyor->survey([&](const Surveyor::Published& snapshot) {
    published = snapshot;
    session.context.stop();
  });
  session.context.run();
  hangs = !session.surveyor->stop();
  if (!published) throw std::bad_alloc{};
  return published->survey;
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

Result<Survey> survey_subject_once(const Settings& settings) {
  constexpr std::chrono::seconds deadline{10};
  SurveyRun run;
  run.generation = 1;
  run.surveyed_at = std::chrono::system_clock::now();
  run.subject = "pid " + std::to_string(settings.pid);
  const auto begun = std::chrono::steady_clock::now();
  run::SubjectSurveyor surveyor{json::parse_finding};
  auto findings = surveyor.survey({.pid = settings.pid,
                                   .start_time = {},
                                   .owner = {},
                                   .storage = settings.storage,
                                   .plan = container_plan(settings)},
                                  deadline);
  if (!findings) return findings.error();
  run.duration = std::chrono::steady_clock::now() - begun;
  return conclude(std::move(*findings), run);
}

Survey survey_once(const Settings& settings, const Ids& to_verify) {
  auto session = std::make_unique<Session>(settings);
  if (!to_verify.empty()) verify(*session, verification_order(settings, to_verify));
  Survey survey = survey_guarded(*session, container_plan(settings));
  if (hangs) (void)session.release();
  return survey;
}

int leave(int status) {
  if (!hangs) return status;
  std::cout.flush();
  std::_Exit(status);
}

}  // namespace surveyd::cli
