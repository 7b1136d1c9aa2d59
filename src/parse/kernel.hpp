#pragma once

#include <optional>
#include <string_view>
#include <utility>

namespace surveyd::parse {

/// Major and minor.
using KernelVersion = std::pair<unsigned, unsigned>;

/// From the release that uname(2) gives: "6.1.0-18-amd64" is 6.1.
[[nodiscard]] std::optional<KernelVersion> kernel_version(std::string_view release);

/// Whether the text of a `modules.dep` lists the module, compressed or not.
[[nodiscard]] bool lists_module(std::string_view modules_dep, std::string_view name);

}  // namespace surveyd::parse
