#pragma once

#include <optional>
#include <string>

#include <surveyd/finding.hpp>

#include "probes/subject.hpp"

namespace surveyd::probes {

// What helps, worded for what this process runs in: a container, a unit of systemd, or neither. All
// are to be asked for only where an answer is not yes, as they read more files. A command is there
// only where it can be pasted into a root shell on the host as it is.

/// The finding with what helps, or without.
[[nodiscard]] Finding with_remedy(Finding finding, std::optional<Remedy> remedy);

/// Install a package that has this name on Debian; the command is for Debian and its derivatives,
/// and for no container, whose image it belongs into.
[[nodiscard]] Remedy install(Subject& subject, const std::string& program,
                             const std::string& debian_package);

/// One that a container shares with its host: `modprobe` on the host.
[[nodiscard]] Remedy load_module(Subject& subject, const std::string& module);

/// Settings of the host, or, for `net.*` in a container, of the container.
[[nodiscard]] Remedy set_sysctl(Subject& subject, const std::string& name,
                                const std::string& value);

/// Get a capability (CAP_… of linux/capability.h, and that name) into the effective set, depending
/// on the set that it is missing from. Nothing when the sets cannot be read.
[[nodiscard]] std::optional<Remedy> grant_capability(Subject& subject, int capability,
                                                     const std::string& name);

/// "effective", "permitted" or "bounding": the outermost set that lacks the capability.
[[nodiscard]] std::string set_that_lacks(const Host& host, int capability);

/// A drop-in with `lines` for the service that this process is, and its restart. Nothing when it is
/// no service of the system's manager. `name` names the drop-in's file.
[[nodiscard]] std::optional<Remedy> change_service(Subject& subject, const std::string& name,
                                                   const std::string& text,
                                                   const std::string& lines);

/// A device that is missing, or that does not open for this process. `module` makes it.
[[nodiscard]] std::optional<Remedy> provide_device(Subject& subject, const std::string& path,
                                                   const std::string& module, unsigned major,
                                                   unsigned minor, const Error& error);

/// Boot with cgroup v2 alone.
[[nodiscard]] Remedy boot_with_cgroup2(Subject& subject);

/// /sys/fs/cgroup is mounted read-only.
[[nodiscard]] Remedy make_cgroups_writable(Subject& subject);

/// The own cgroup belongs to somebody else. Nothing when systemd does not manage it.
[[nodiscard]] std::optional<Remedy> delegate_own_cgroup(Subject& subject);

}  // namespace surveyd::probes
