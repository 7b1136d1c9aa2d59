#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/error.hpp>

namespace surveyd {

/// A path for a system call: a literal or a string, without a copy.
class PathRef {
 public:
  PathRef(const char* path) : path_(path) {}
  PathRef(const std::string& path) : path_(path.c_str()) {}
  [[nodiscard]] const char* c_str() const { return path_; }

 private:
  const char* path_;
};

enum class FileKind { regular, directory, character_device, other };

struct FileInfo {
  FileKind kind = FileKind::other;
  unsigned device_major = 0;  ///< of a device node
  unsigned device_minor = 0;
  std::uint64_t inode = 0;
  unsigned mode = 0;  ///< permission bits, with set-user-ID, set-group-ID and sticky
  unsigned owner = 0;
  unsigned group = 0;
  /// The older of the times that the kernel shows for it (`st_ctime`, `st_mtime`). For a
  /// pseudo-file that is when it came into the inode cache, so at the earliest when it was made.
  std::chrono::system_clock::time_point changed_at{};
};

struct FileSystem {
  std::uint64_t magic = 0;  ///< statfs(2) `f_type`
  bool read_only = false;   ///< the mount or the file system is
  bool no_suid = false;     ///< programs on it get no privileges from their file
  bool no_devices = false;  ///< device nodes on it do not open
};

/// CGROUP2_SUPER_MAGIC of linux/magic.h, and the tmpfs of hybrid hosts.
inline constexpr std::uint64_t cgroup2_magic = 0x63677270;
inline constexpr std::uint64_t tmpfs_magic = 0x01021994;

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  std::uint64_t inode = 0;
};

/// The sets of capabilities(7) that a finding can depend on.
enum class CapabilitySet { effective, permitted, bounding };

/// System calls that a seccomp filter or an old kernel may lack.
enum class KernelCall {
  clone3,
  openat2,
  pidfd_open,
  pidfd_send_signal,
  mount_setattr,
  bpf,
  unshare_user,  ///< unshare(CLONE_NEWUSER), which filters tell from the rest of unshare(2)
};

/// Whose rights access(2) is asked about.
enum class As { real_user, effective_user };

/// A pseudo-file that tells of its changes, as `cgroup.events` does, held open.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;

  /// The whole file as it is now. ENODEV once what it belongs to is gone.
  [[nodiscard]] virtual Result<std::string> read() = 0;
  /// poll(2) says POLLPRI here after a change that came later than the last `read`; -1 when nobody
  /// can be told. Stays the watch's own.
  [[nodiscard]] virtual int descriptor() const = 0;
  /// Blocks the calling thread until there is such a change, or for so long.
  virtual void wait(std::chrono::milliseconds limit) = 0;
};

/// The machine as surveyd sees it: every system call about files and this process goes through
/// here. Paths are absolute on the machine, and relative to the directory on a host made by
/// `enter`. Every call may fail with the errno of the system call that it names; none leaves a
/// trace unless its name says so.
class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  /// A whole file: pseudo-files are read to their end, never by the size that stat gives.
  [[nodiscard]] virtual Result<std::string> read(PathRef path) const = 0;
  /// The names in a directory, sorted, without `.` and `..`.
  [[nodiscard]] virtual Result<std::vector<DirectoryEntry>> list(PathRef path) const = 0;
  /// stat(2), following links.
  [[nodiscard]] virtual Result<FileInfo> stat(PathRef path) const = 0;
  /// statfs(2).
  [[nodiscard]] virtual Result<FileSystem> file_system(PathRef path) const = 0;
  /// Opens read-write and non-blocking, says what was opened, and closes it; no ioctl, no I/O.
  [[nodiscard]] virtual Result<FileInfo> try_open(PathRef path) const = 0;
  /// access(2) with `mode` of R_OK, W_OK, X_OK.
  [[nodiscard]] virtual Result<void> access(PathRef path, int mode, As as) const = 0;
  /// readlink(2).
  [[nodiscard]] virtual Result<std::string> read_link(PathRef path) const = 0;
  /// An extended attribute of a file or directory; ENODATA when it has none of that name.
  [[nodiscard]] virtual Result<std::string> attribute(PathRef path, const char* name) const = 0;

  [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(PathRef path) const = 0;

  /// The path, relative to the directory that was entered, of the directory with this inode on a
  /// file system that can be asked for it (open_by_handle_at(2); cgroup2 can). ESTALE when there
  /// is none, EXDEV when it lies elsewhere, EPERM without CAP_DAC_READ_SEARCH.
  [[nodiscard]] virtual Result<std::string> find_directory(std::uint64_t inode) const = 0;

  /// Mode 0755. EEXIST when anything of that name is there.
  [[nodiscard]] virtual Result<void> make_directory(PathRef path) = 0;
  /// rmdir(2): never a file.
  [[nodiscard]] virtual Result<void> remove_directory(PathRef path) = 0;
  /// One write(2) of the whole text into an existing file.
  [[nodiscard]] virtual Result<void> write(PathRef path, std::string_view text) = 0;
  [[nodiscard]] virtual Result<void> set_attribute(PathRef path, const char* name,
                                                   std::string_view value) = 0;

  /// SIGKILL. The process is pinned first, then `confirm` is asked whether it still is the one that
  /// was meant, as its number may have been given to another; ESRCH when it says no.
  [[nodiscard]] virtual Result<void> kill(int pid, const std::function<bool()>& confirm) = 0;

  /// The same host, confined to a directory: it is opened once, everything is reached from that
  /// descriptor, and no `..`, link or mount leads out of it (openat2(2)).
  [[nodiscard]] virtual Result<std::unique_ptr<Host>> enter(PathRef directory) const = 0;

  [[nodiscard]] virtual unsigned effective_uid() const = 0;
  [[nodiscard]] virtual unsigned real_uid() const = 0;
  /// Whether a capability (CAP_… of linux/capability.h) is in one of the sets; capget(2) and
  /// prctl(2), so it works without `/proc`.
  [[nodiscard]] virtual Result<bool> has_capability(
      int capability, CapabilitySet set = CapabilitySet::effective) const = 0;
  /// prctl(PR_GET_NO_NEW_PRIVS): set-user-ID programs and file capabilities give nothing.
  [[nodiscard]] virtual Result<bool> no_new_privileges() const = 0;
  /// prctl(PR_GET_SECCOMP): 0 for none, 2 for a filter.
  [[nodiscard]] virtual Result<int> seccomp_mode() const = 0;
  /// The errno with which a call answers arguments that it cannot take: EINVAL, EFAULT, EBADF where
  /// the kernel has it, ENOSYS where not, EPERM from a filter.
  [[nodiscard]] virtual int answer_to_bad_call(KernelCall call) const = 0;
  /// KVM_GET_API_VERSION on this device.
  [[nodiscard]] virtual Result<int> kvm_api_version(PathRef device) const = 0;
  /// Makes an inotify instance and closes it: EMFILE when the user has none left.
  [[nodiscard]] virtual Result<void> try_inotify() const = 0;
  /// uname(2): "6.1.0-18-amd64".
  [[nodiscard]] virtual std::string kernel_release() const = 0;
  [[nodiscard]] virtual std::optional<std::string> environment(const char* name) const = 0;
  /// Blocks the calling thread; here so that retries can be tested without waiting.
  virtual void pause(std::chrono::milliseconds time) = 0;
  /// The clock that deadlines are kept by; it advances with `pause`.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point now() const = 0;
  /// The time of day.
  [[nodiscard]] virtual std::chrono::system_clock::time_point today() const = 0;
};

}  // namespace surveyd
