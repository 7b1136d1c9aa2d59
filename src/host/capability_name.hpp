#pragma once

#include <string>

namespace surveyd {

/// A capability by the name of capabilities(7), "CAP_NET_ADMIN"; by its number when libcap is older
/// than it.
[[nodiscard]] std::string capability_name(int capability);

}  // namespace surveyd
