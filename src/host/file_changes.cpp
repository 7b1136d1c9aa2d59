#include "host/file_changes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include <sys/inotify.h>

namespace surveyd {

Result<void> FileChanges::open() {
  inotify_ = UniqueFd{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (!inotify_) return os_error(errno, "inotify_init1");
  return {};
}

Result<bool> FileChanges::watch(const std::set<std::string>& paths) {
  if (!inotify_) return false;
  std::optional<Error> failure;
  std::set<Watched> now;
  for (const std::string& path : paths) {
    // For a file that is watched already this gives the same number again; a directory that was
    // made anew holds another file.
    const int descriptor = ::inotify_add_watch(inotify_.get(), path.c_str(), IN_MODIFY | IN_DELETE);
    if (descriptor >= 0)
      now.emplace(descriptor, path);
    else if (errno != ENOENT)
      failure = os_error(errno, "inotify_add_watch", path);
  }
  for (const Watched& old : watched_)
    if (!now.contains(old)) (void)::inotify_rm_watch(inotify_.get(), old.first);
  const bool is_new = !std::includes(watched_.begin(), watched_.end(), now.begin(), now.end());
  watched_ = std::move(now);
  if (failure) return *failure;
  return is_new;
}

bool FileChanges::drain() const {
  std::array<char, 4096> events;
  bool changed = false;
  // Bounded: somebody may write faster than this reads.
  for (int reads = 0; reads < 64; ++reads) {
    if (::read(inotify_.get(), events.data(), events.size()) <= 0) break;
    changed = true;
  }
  return changed;
}

}  // namespace surveyd
