#pragma once

#include <surveyd/finding.hpp>

#include "probes/subject.hpp"

namespace surveyd::probes {

/// Whether overlayfs can be mounted at all, wherever its directories lie.
[[nodiscard]] Finding overlayfs_rootfs_available(Subject& subject);

[[nodiscard]] bool is_in_user_namespace(Subject& subject);

}  // namespace surveyd::probes
