#pragma once

#include <span>
#include <string>

namespace surveyd::cli {

/// What the processes do that surveyd starts from its own binary: a task, and lines about it on
/// standard output. `arguments` follow `surveyd helper`. The exit status of the process.
[[nodiscard]] int helper(std::span<const std::string> arguments);

}  // namespace surveyd::cli
