#pragma once

#include <string>
#include <vector>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

/// An overlay of directories that exist (Documentation/filesystems/overlayfs.rst).
struct Overlay {
  std::vector<std::string> lowers;  ///< read-only, the uppermost first
  std::string upper;
  std::string work;
  std::string target;
  /// Keeps its notes as `user.*` instead of `trusted.*` attributes, which only root of the initial
  /// user namespace may write (Linux 5.11).
  bool user_attributes = false;

  /// As options of mount(2).
  [[nodiscard]] std::string directories() const;
};

/// In the mount namespace of this process; `isolation.hpp` makes a private one.
[[nodiscard]] Result<void> mount(const Overlay& overlay);
[[nodiscard]] Result<void> mount_tmpfs(PathRef target);
/// Detaches it, whatever still uses it.
[[nodiscard]] Result<void> unmount(PathRef target);

/// Whether a type of file system is registered with the kernel now. Unlike a mount it makes the
/// kernel load nothing. Fails where neither `/proc/filesystems` nor sysfs(2) can be asked.
[[nodiscard]] Result<bool> is_registered(const Host& host, const std::string& file_system);

/// Who owns the directory when it is seen through the maps of the user namespace that this
/// descriptor is: by a detached copy of its mount, which nobody else ever sees.
[[nodiscard]] Result<FileInfo> stat_through_idmap(PathRef directory, int user_namespace);

/// A new file with this text; EEXIST when anything of that name is there.
[[nodiscard]] Result<void> make_file(PathRef path, const std::string& text);
[[nodiscard]] Result<void> remove_file(PathRef path);
/// Mode 0700.
[[nodiscard]] Result<void> reopen_to_owner(PathRef directory);

}  // namespace surveyd
