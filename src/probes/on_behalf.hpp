#pragma once

#include <span>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/probe.hpp>

#include "host/subject_host.hpp"

namespace surveyd {

/// Claims about another process. An answer that rests on what the host is in doubt about is
/// unknown, `subject_out_of_reach`.
[[nodiscard]] Findings run_probes_on_behalf(std::span<const Probe> probes, const SubjectHost& host,
                                            const ContainerPlan& plan);

/// Takes an answer back that one of the doubts is about.
void apply_doubts(Finding& finding, const std::vector<SubjectHost::Doubt>& doubts);

}  // namespace surveyd
