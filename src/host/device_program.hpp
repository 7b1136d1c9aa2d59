#pragma once

#include <surveyd/error.hpp>

namespace surveyd {

/// Loads a BPF program of the type that decides about devices for a cgroup (bpf(2),
/// BPF_PROG_TYPE_CGROUP_DEVICE), one that allows everything, attaches it nowhere and drops it.
/// EINVAL from a kernel that has no such type (before 4.15, or without CONFIG_CGROUP_BPF).
[[nodiscard]] Result<void> load_device_program();

}  // namespace surveyd
