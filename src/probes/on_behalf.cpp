#include "probes/on_behalf.hpp"

#include <exception>

#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd {
namespace {

Finding run_guarded(const Probe& probe, Subject& subject) {
  try {
    return run_probe(probe, subject);
  } catch (const std::exception& failure) {
    Finding finding = probes::unknown(ReasonCode::probe_failed,
                                      std::string{"the probe failed: "} + failure.what());
    finding.id = probe.id;
    finding.failed = true;
    finding.checked_at = finding.changed_at = std::chrono::system_clock::now();
    return finding;
  }
}

// Whatever a probe makes of a file that cannot be read, here the cause is another.
void explain_unknown(Finding& finding, const std::string& why) {
  if (finding.status != Status::unknown || finding.failed) return;
  finding.code = ReasonCode::subject_out_of_reach;
  finding.reason = "it cannot be asked on behalf of that process: " + why;
  finding.remedy.reset();
}

}  // namespace

void apply_doubts(Finding& finding, const std::vector<SubjectHost::Doubt>& doubts) {
  for (const SubjectHost::Doubt& doubt : doubts) {
    const bool concerned = (finding.status == Status::yes && doubt.of_yes) ||
                           (finding.status == Status::no && doubt.of_no);
    if (!concerned) continue;
    finding.evidence.push_back(probes::observed("not asked", doubt.why));
    finding.reason = "it cannot be asked on behalf of that process: " + doubt.why +
                     "; asked here: " + finding.reason;
    finding.status = Status::unknown;
    finding.code = ReasonCode::subject_out_of_reach;
    finding.remedy.reset();
  }
}

Findings run_probes_on_behalf(std::span<const Probe> probes, const SubjectHost& host,
                              const ContainerPlan& plan) {
  Subject subject{host, plan};
  std::vector<Finding> findings;
  findings.reserve(probes.size());
  for (const Probe& probe : probes) {
    findings.push_back(run_guarded(probe, subject));
    apply_doubts(findings.back(), host.take_doubts());
    if (host.facts().files_out_of_reach)
      explain_unknown(findings.back(), *host.facts().files_out_of_reach);
  }
  return Findings{std::move(findings)};
}

}  // namespace surveyd
