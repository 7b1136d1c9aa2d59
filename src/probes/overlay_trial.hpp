#pragma once

#include <string>

#include <surveyd/finding.hpp>

#include "host/mounts.hpp"
#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {

/// Directories for an overlay that says whether it works: both lowers have the file `file` and the
/// directory `both` with `below` in it.
[[nodiscard]] Result<Overlay> lay_out_overlay(const std::string& directory);

/// What containers do with their root file system, done in a mounted overlay: change a file of the
/// lowers, remove a directory that both have, make it anew; and what is seen and what lies on the
/// disk afterwards.
[[nodiscard]] std::optional<Failure> exercise_overlay(const Overlay& overlay);

/// Both for a kernel overlay in this directory.
[[nodiscard]] std::optional<Failure> try_overlay(const std::string& directory, Rights rights);

/// Whether the kernel refuses the file system that the directories lie on: it has to be able to
/// hold whiteouts and attributes, which overlayfs, NFS and FUSE cannot.
[[nodiscard]] bool is_unsuitable_storage(const Failure& failure);

/// An empty tmpfs in the private mount namespace, over the scratch directory or something else that
/// exists: for what can be tried anywhere, where the storage path takes nothing.
[[nodiscard]] Result<std::string> private_tmpfs(const Trial& trial);

}  // namespace surveyd::probes
