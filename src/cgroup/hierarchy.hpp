#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd::cgroup {

/// Where every distribution mounts the tree, and the only place that surveyd manages.
inline constexpr const char* mount_point = "/sys/fs/cgroup";

enum class Version {
  v2,      ///< a cgroup2 file system is mounted at the mount point itself
  hybrid,  ///< v1 controllers, with a cgroup2 mount elsewhere that gets what they leave over
  v1,
  none,
  unknown,  ///< it could not be read
};

[[nodiscard]] const char* to_string(Version version);

/// Which hierarchy is mounted, proved by the file system's magic and not by a file's name.
struct Hierarchy {
  Version version = Version::unknown;
  std::string explanation;  ///< one sentence
  /// The directory of the tree that is mounted, in our cgroup namespace's terms: "/" ordinarily,
  /// "/.." when the host's tree is bind-mounted into a private namespace. Empty: not known.
  std::string mount_root;
  std::optional<Error> doubt{};  ///< why it is not known
  std::string elsewhere{};       ///< where else cgroup2 is mounted; empty: nowhere, or at its place
  /// The tree is mounted with `nsdelegate`: the root of a cgroup namespace bounds what is
  /// delegated.
  bool ends_at_namespace = false;
};

/// `mountinfo` is the text of `/proc/self/mountinfo`, or why it could not be read.
[[nodiscard]] Hierarchy find_hierarchy(const Host& host, const Result<std::string>& mountinfo);

/// Our own cgroup relative to the mount's root, "" for that root itself. `own` is the path of
/// `/proc/self/cgroup`. Fails when no path below the mount leads to it.
[[nodiscard]] Result<std::string> relative_to_mount(const std::string& own,
                                                    const std::string& mount_root);

/// A cgroup as a place to make child cgroups in.
struct Place {
  std::string path;
  bool is_real_root = false;  ///< has no `cgroup.type`: only the root of the whole tree has none
  /// The mount is cgroup2 and writable, and our effective user may make a directory and write
  /// `cgroup.subtree_control`. Predicted, not tried.
  Result<void> accepts;
  std::vector<std::string> controllers;  ///< `cgroup.controllers`: what children can be given
  std::optional<Error> doubt;            ///< a failure after which none of this says no

  /// One of cpu, memory, pids is among its controllers.
  [[nodiscard]] bool offers_for_containers() const;
  /// Accepts directories, and offers one of these.
  [[nodiscard]] bool usable() const;
  /// One sentence that says so, or what is missing.
  [[nodiscard]] std::string explanation() const;
};

[[nodiscard]] Place inspect(const Host& host, const std::string& path);

/// Whether the cgroup, pid and user namespaces are the initial ones, by their fixed inode numbers.
struct Namespaces {
  std::vector<std::string> own;                           ///< those that are not the initial one
  std::vector<std::pair<std::string, Error>> unreadable;  ///< those that could not be asked

  [[nodiscard]] bool all_initial() const { return own.empty() && unreadable.empty(); }
};

[[nodiscard]] Namespaces inspect_namespaces(const Host& host);

}  // namespace surveyd::cgroup
