#pragma once

#include <string>
#include <vector>

#include <surveyd/survey.hpp>

#include "cli/settings.hpp"
#include "run/subject_survey.hpp"
#include "run/verifier.hpp"

namespace surveyd::cli {

using Ids = std::vector<std::string>;

/// The probes that have a verification, all of them or those of `wanted`.
[[nodiscard]] Ids verifiable(const Settings& settings);
[[nodiscard]] Ids verifiable(const Settings& settings, const Ids& wanted);

/// What a helper is asked to do to verify these probes.
[[nodiscard]] run::VerificationOrder verification_order(const Settings& settings, const Ids& ids);

/// Has one survey of another process made by a helper process.
[[nodiscard]] Result<Survey> survey_subject_once(const Settings& settings);

/// One survey of this process, after these probes have been verified. A probe that hangs is unknown
/// after its deadline, as in the daemon.
[[nodiscard]] Survey survey_once(const Settings& settings, const Ids& to_verify = {});

/// To be returned from main after a survey. Does not return itself where a probe still hangs:
/// nothing that it uses may be destroyed then.
[[nodiscard]] int leave(int status);

}  // namespace surveyd::cli
