#pragma once

namespace surveyd::cli {

extern const char* const version;   ///< of the project: "0.1.0"
extern const char* const revision;  ///< the commit, "unknown" outside of a checkout
extern const char* const compiler;  ///< with its version

}  // namespace surveyd::cli
