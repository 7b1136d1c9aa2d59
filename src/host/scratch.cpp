#include "host/scratch.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace surveyd {
namespace {

constexpr std::string_view prefix = ".surveyd-verify-";
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Removes trees with everything in them, as far as they are of one mount. Reaches each entry from
/// an open directory and follows no link, so that nobody can lead it elsewhere.
class Removal {
 public:
  void remove_tree(int parent, const char* name) {
    // An empty directory needs no rights of its own; overlayfs leaves one of mode 000.
    if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY) return;
    const UniqueFd directory = open(parent, name);
    if (!directory || depth_ >= deepest || is_mount(directory.get())) return;
    ++depth_;
    empty(directory.get());
    --depth_;
    ::unlinkat(parent, name, AT_REMOVEDIR);
  }

 private:
  static constexpr int deepest = 32;
  static constexpr int most_entries = 10'000;

  static UniqueFd open(int parent, const char* name) {
    UniqueFd directory{::openat(parent, name, directory_flags)};
    struct stat status {};
    // Its owner may be without the right to read it. Nobody else can exchange it: what lies around
    // it is of mode 0700.
    if (!directory && errno == EACCES &&
        ::fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode) &&
        ::fchmodat(parent, name, 0700, 0) == 0)
      directory = UniqueFd{::openat(parent, name, directory_flags)};
    return directory;
  }

  bool is_mount(int directory) {
    struct statx status {};
    if (::statx(directory, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) != 0) return true;
    // Since Linux 5.8; before that a bind mount of the same device cannot be told.
    if ((status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
        (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
      return true;
    const auto device = (std::uint64_t{status.stx_dev_major} << 32) | status.stx_dev_minor;
    if (!device_) device_ = device;
    return *device_ != device;
  }

  void empty(int directory) {
    const int copy = ::openat(directory, ".", directory_flags);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries{::fdopendir(copy), ::closedir};
    if (!entries) {
      if (copy >= 0) ::close(copy);
      return;
    }
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string_view name{entry->d_name};
      if (name == "." || name == "..") continue;
      if (++entries_ > most_entries) return;
      if (::unlinkat(directory, entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM))
        remove_tree(directory, entry->d_name);
    }
  }

  int depth_ = 0;
  int entries_ = 0;
  std::optional<std::uint64_t> device_;
};

bool lock(int directory) {
  return ::flock(directory, LOCK_EX | LOCK_NB) == 0;
}

bool is_still_there(int directory) {
  struct stat status {};
  return ::fstat(directory, &status) == 0 && status.st_nlink > 0;
}

void remove_unlocked(int parent, const char* name) {
  const UniqueFd directory{::openat(parent, name, directory_flags)};
  struct stat status {};
  if (!directory || ::fstat(directory.get(), &status) != 0 || status.st_uid != ::geteuid()) return;
  if (lock(directory.get())) Removal{}.remove_tree(parent, name);
}

UniqueFd open_parent(const std::string& path) {
  return UniqueFd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

}  // namespace

std::string new_scratch_name() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
    number = static_cast<std::uint64_t>(
        std::chrono::steady_clock::now().time_since_epoch().count() ^ (::getpid() * 1000003L));
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return std::string{prefix} + text.data();
}

Result<Scratch> make_scratch(const std::string& parent, const std::string& name) {
  const UniqueFd place = open_parent(parent);
  if (!place) return os_error(errno, "open", parent);
  const std::string path = (parent.ends_with('/') ? parent : parent + "/") + name;
  // Between its making and its locking it looks abandoned: somebody may have removed it.
  constexpr int most_attempts = 8;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    if (::mkdirat(place.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      return os_error(errno, "mkdir", path);
    UniqueFd directory{::openat(place.get(), name.c_str(), directory_flags)};
    if (directory && lock(directory.get()) && is_still_there(directory.get()))
      return Scratch{path, std::move(directory)};
    if (!directory && errno != ENOENT) return os_error(errno, "open", path);
  }
  return os_error(EBUSY, "flock", path);
}

void remove_scratch(const std::string& parent, const std::string& name) {
  if (const UniqueFd place = open_parent(parent)) remove_unlocked(place.get(), name.c_str());
}

void remove_abandoned_scratch(const std::string& parent) {
  const UniqueFd place = open_parent(parent);
  const int copy = place ? ::openat(place.get(), ".", directory_flags) : -1;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries{::fdopendir(copy), ::closedir};
  if (!entries) {
    if (copy >= 0) ::close(copy);
    return;
  }
  while (const dirent* entry = ::readdir(entries.get()))
    if (std::string_view{entry->d_name}.starts_with(prefix))
      remove_unlocked(place.get(), entry->d_name);
}

}  // namespace surveyd
