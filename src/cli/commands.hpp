#pragma once

#include "cli/settings.hpp"

namespace surveyd::cli {

// Each returns the exit status of the process.
[[nodiscard]] int serve(const Settings& settings);
[[nodiscard]] int survey(const Settings& settings);
[[nodiscard]] int explain(const Settings& settings);
[[nodiscard]] int check(const Settings& settings);

}  // namespace surveyd::cli
