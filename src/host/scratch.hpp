#pragma once

#include <string>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// A directory for one purpose. It is locked as long as the object lives, or any fork of its
/// process, so that others can tell it from one whose owner was killed.
struct Scratch {
  std::string path;
  UniqueFd lock;
};

/// `.surveyd-verify-` and what nobody else has chosen.
[[nodiscard]] std::string new_scratch_name();

/// A new directory below an existing one, mode 0700.
[[nodiscard]] Result<Scratch> make_scratch(const std::string& parent, const std::string& name);

/// Removes it with all that is in it and of one mount, when nobody holds it any more. Whether that
/// comes off is nobody's concern: somebody removes what is abandoned later.
void remove_scratch(const std::string& parent, const std::string& name);

/// Removes what owners of scratch directories that were killed have left below `parent`: their own
/// user's only.
void remove_abandoned_scratch(const std::string& parent);

}  // namespace surveyd
