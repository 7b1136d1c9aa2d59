#pragma once

#include <surveyd/survey.hpp>

#include "cli/settings.hpp"

namespace surveyd::cli {

/// One survey of this process, in this thread.
[[nodiscard]] Survey survey_once(const Settings& settings);

}  // namespace surveyd::cli
