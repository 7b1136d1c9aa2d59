#pragma once

#include "run/subject_survey.hpp"

namespace surveyd::cli {

/// In a helper process: the claims about another process, a line each, and the last line. The exit
/// status.
[[nodiscard]] int survey_subject(const run::SubjectOrder& order);

}  // namespace surveyd::cli
