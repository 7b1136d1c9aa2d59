#pragma once

#include <string>

#include <surveyd/error.hpp>

namespace surveyd {

/// The one line of a file that is nobody else's: a regular file, owned by root or by the effective
/// user, without any right for others. 16 to 1024 visible ASCII characters. EACCES when others
/// could read or change it, EINVAL for anything else than such a line; `detail` says what is wrong.
[[nodiscard]] Result<std::string> read_secret(const std::string& path);

}  // namespace surveyd
