#pragma once

#include <stdexcept>

namespace surveyd::cli {

/// Something that the operator has to change before the daemon can start; one line.
struct StartFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace surveyd::cli
