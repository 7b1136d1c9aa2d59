#pragma once

#include <optional>

#include <surveyd/finding.hpp>

#include "probes/subject.hpp"

namespace surveyd::probes {

/// What the lack of a cgroup v2 tree at /sys/fs/cgroup means for every finding about it; nothing
/// where the tree is there.
[[nodiscard]] std::optional<Finding> without_cgroup2(Subject& subject);

/// Why a cgroup cannot hold containers, as it is not usable.
[[nodiscard]] ReasonCode code_of(const cgroup::Place& place);

/// What the files of a cgroup say, with one errno for each that cannot be read.
[[nodiscard]] Evidence what_file_says(const Host& host, const std::string& path);

}  // namespace surveyd::probes
