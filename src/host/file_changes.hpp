#pragma once

#include <set>
#include <string>
#include <utility>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// Tells when somebody wrote to one of a set of files, or removed something from one of a set of
/// directories (inotify(7)).
class FileChanges {
 public:
  /// ENOSYS, EMFILE: nobody can be told; everything else then does nothing.
  [[nodiscard]] Result<void> open();

  /// Replaces the set. A file that is not there is left out. ENOSPC: the user's watches are used up
  /// (fs.inotify.max_user_watches); the others are watched all the same.
  /// True when something is watched that was not before: what happened to it until now was not
  /// told.
  [[nodiscard]] Result<bool> watch(const std::set<std::string>& paths);

  /// Readable when there is something to `drain`; -1 before `open`.
  [[nodiscard]] int descriptor() const { return inotify_.get(); }

  /// Whether there were changes since the last call. May run in another thread than `watch`.
  [[nodiscard]] bool drain() const;

 private:
  using Watched = std::pair<int, std::string>;  // inotify's number and the path

  UniqueFd inotify_;
  std::set<Watched> watched_;
};

}  // namespace surveyd
