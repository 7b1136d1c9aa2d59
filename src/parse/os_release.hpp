#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace surveyd::parse {

/// The distributions in the text of os-release(5): its `ID`, then those of `ID_LIKE`, the closest
/// first.
[[nodiscard]] std::vector<std::string> distributions(std::string_view os_release);

}  // namespace surveyd::parse
