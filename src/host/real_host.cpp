#include "host/real_host.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace surveyd {
namespace {

// A signal handler that restarts nothing must not turn into a wrong answer; a call that is never
// anything but interrupted must not turn into a hang.
template <class Call>
auto retry_interrupted(Call call) {
  constexpr int most_attempts = 64;
  auto result = call();
  for (int again = 1; result < 0 && errno == EINTR && again < most_attempts; ++again)
    result = call();
  return result;
}

std::chrono::system_clock::time_point time_of(const timespec& time) {
  return std::chrono::system_clock::time_point{
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
}

FileInfo describe(const struct stat& status) {
  FileInfo info;
  info.inode = status.st_ino;
  info.mode = status.st_mode & 07777;
  info.owner = status.st_uid;
  info.group = status.st_gid;
  info.changed_at = std::min(time_of(status.st_ctim), time_of(status.st_mtim));
  if (S_ISREG(status.st_mode)) info.kind = FileKind::regular;
  if (S_ISDIR(status.st_mode)) info.kind = FileKind::directory;
  if (S_ISCHR(status.st_mode)) {
    info.kind = FileKind::character_device;
    info.device_major = major(status.st_rdev);
    info.device_minor = minor(status.st_rdev);
  }
  return info;
}

// O_PATH with O_NOFOLLOW opens the link itself.
bool is_link(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

int refuse_link() {
  errno = ELOOP;
  return -1;
}

// What openat2 does, for a kernel before 5.6 or a seccomp filter that does not know it: one
// component at a time, none of them a link or `..`. Mounts are not told apart, which is why the
// caller proves the file system by its magic.
int open_beneath_stepwise(int root, const char* path, int flags) {
  UniqueFd at{::fcntl(root, F_DUPFD_CLOEXEC, 0)};
  std::string_view rest{path};
  if (rest.starts_with('/')) {
    errno = EXDEV;
    return -1;
  }
  while (true) {
    while (rest.starts_with('/')) rest.remove_prefix(1);
    const std::string name{rest.substr(0, rest.find('/'))};
    rest.remove_prefix(name.size());
    if (name == "..") {
      errno = EXDEV;
      return -1;
    }
    const bool last = rest.find_first_not_of('/') == std::string_view::npos;
    const int step = last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC;
    UniqueFd next{::openat(at.get(), name.empty() ? "." : name.c_str(), step | O_NOFOLLOW)};
    if (!next) return -1;
    if (last) return is_link(next.get()) ? refuse_link() : next.release();
    at = std::move(next);
  }
}

int open_beneath(int root, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
  // A seccomp filter answers ENOSYS or EPERM; the kernel's own refusals come back the same way
  // from the second attempt.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM))
    return open_beneath_stepwise(root, path, flags);
  return static_cast<int>(fd);
}

// -1 and errno on failure. Pseudo-files are small; a list of modules has hundreds of kilobytes, and
// would cost a hundred calls.
int read_to_end(int fd, std::string& text) {
  __attribute__((uninitialized)) std::array<char, 4096> chunk;  // the kernel fills it
  std::vector<char> large;
  while (true) {
    if (large.empty() && text.size() >= 4 * chunk.size()) {
      large.resize(32 * chunk.size());
      struct stat status {};
      // Growing step by step would have the kernel map and clear the same pages again and again.
      if (::fstat(fd, &status) == 0 && status.st_size > 0)
        text.reserve(static_cast<std::size_t>(status.st_size) + 1);
    }
    char* buffer = large.empty() ? chunk.data() : large.data();
    const std::size_t size = large.empty() ? chunk.size() : large.size();
    const ssize_t count = retry_interrupted([&] { return ::read(fd, buffer, size); });
    if (count <= 0) return static_cast<int>(count);
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

class RealWatch final : public Watch {
 public:
  RealWatch(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  Result<std::string> read() override {
    std::string text;
    const bool whole =
        ::lseek(file_.get(), 0, SEEK_SET) == 0 && read_to_end(file_.get(), text) == 0;
    if (!whole) return os_error(errno, "read", path_);
    return text;
  }
  int descriptor() const override { return file_.get(); }
  void wait(std::chrono::milliseconds limit) override {
    pollfd change{.fd = file_.get(), .events = POLLPRI, .revents = 0};
    // Interrupted is as good as changed: the caller reads it again.
    (void)::poll(&change, 1, static_cast<int>(limit.count()));
  }

 private:
  UniqueFd file_;
  std::string path_;
};

}  // namespace

// The path as an administrator finds it.
std::string RealHost::shown(PathRef path) const {
  if (std::string_view{path.c_str()} == ".") return root_path_.empty() ? "." : root_path_;
  return root_path_ + (root_path_.empty() ? "" : "/") + path.c_str();
}

Error RealHost::last_error(const char* op, PathRef path) const {
  const int error_number = errno;  // before the strings allocate
  return os_error(error_number, op, shown(path));
}

Result<UniqueFd> RealHost::open(PathRef path, int flags) const {
  const int fd = retry_interrupted([&] {
    return root_ ? open_beneath(root_.get(), path.c_str(), flags | O_CLOEXEC)
                 : ::open(path.c_str(), flags | O_CLOEXEC);
  });
  if (fd < 0) return last_error("open", path);
  return UniqueFd{fd};
}

Result<std::string> RealHost::read(PathRef path) const {
  auto file = open(path, O_RDONLY);
  if (!file) return file.error();
  std::string text;
  if (read_to_end(file->get(), text) != 0) return last_error("read", path);
  return text;
}

Result<std::vector<DirectoryEntry>> RealHost::list(PathRef path) const {
  auto file = open(path, O_RDONLY | O_DIRECTORY);
  if (!file) return file.error();
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{::fdopendir(file->get()), ::closedir};
  if (!directory) return last_error("opendir", path);
  (void)file->release();  // closedir() closes it

  std::vector<DirectoryEntry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name{entry->d_name};
    if (name != "." && name != "..")
      entries.push_back({std::string{name}, entry->d_type == DT_DIR, entry->d_ino});
    errno = 0;
  }
  if (errno != 0) return last_error("readdir", path);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Result<FileInfo> RealHost::stat(PathRef path) const {
  struct stat status {};
  if (!root_) {
    if (::stat(path.c_str(), &status) != 0) return last_error("stat", path);
    return describe(status);
  }
  auto file = open(path, O_PATH);
  if (!file) return file.error();
  if (::fstat(file->get(), &status) != 0) return last_error("stat", path);
  return describe(status);
}

Result<FileSystem> RealHost::file_system(PathRef path) const {
  struct statfs status {};
  if (!root_) {
    if (retry_interrupted([&] { return ::statfs(path.c_str(), &status); }) != 0)
      return last_error("statfs", path);
  } else {
    auto file = open(path, O_PATH);
    if (!file) return file.error();
    if (retry_interrupted([&] { return ::fstatfs(file->get(), &status); }) != 0)
      return last_error("statfs", path);
  }
  return FileSystem{.magic = static_cast<std::uint64_t>(status.f_type),
                    .read_only = (status.f_flags & ST_RDONLY) != 0,
                    .no_suid = (status.f_flags & ST_NOSUID) != 0,
                    .no_devices = (status.f_flags & ST_NODEV) != 0};
}

Result<FileInfo> RealHost::try_open(PathRef path) const {
  auto file = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
  if (!file) return file.error();
  struct stat status {};
  if (::fstat(file->get(), &status) != 0) return last_error("fstat", path);
  return describe(status);
}

Result<void> RealHost::access(PathRef path, int mode, As as) const {
  const int flags = as == As::effective_user ? AT_EACCESS : 0;
  if (!root_) {
    if (::faccessat(AT_FDCWD, path.c_str(), mode, flags) != 0) return last_error("access", path);
    return {};
  }
  auto file = open(path, O_PATH);
  if (!file) return file.error();
  // glibc's faccessat() emulates flags that it does not know; the system call takes them all.
  if (::syscall(SYS_faccessat2, file->get(), "", mode, flags | AT_EMPTY_PATH) != 0)
    return last_error("access", path);
  return {};
}

Result<std::string> RealHost::read_link(PathRef path) const {
  std::array<char, PATH_MAX> target;
  if (root_) {
    errno = ELOOP;  // nothing below a confined host is reached through links
    return last_error("readlink", path);
  }
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return last_error("readlink", path);
  return std::string{target.data(), static_cast<std::size_t>(size)};
}

Result<std::string> RealHost::attribute(PathRef path, const char* name) const {
  std::array<char, 256> value;
  ssize_t size = -1;
  if (root_) {
    auto file = open(path, O_RDONLY);
    if (!file) return file.error();
    size = ::fgetxattr(file->get(), name, value.data(), value.size());
  } else {
    // By path: a program may be executable and not readable.
    size = ::getxattr(path.c_str(), name, value.data(), value.size());
  }
  if (size < 0) return last_error("getxattr", path);
  return std::string{value.data(), static_cast<std::size_t>(size)};
}

Result<std::string> RealHost::find_directory(std::uint64_t inode) const {
  // A kernfs handle is the inode number alone (include/linux/exportfs.h, FILEID_KERNFS).
  constexpr int fileid_kernfs = 0xfe;
  alignas(file_handle) std::array<char, sizeof(file_handle) + sizeof inode> memory{};
  auto* handle = reinterpret_cast<file_handle*>(memory.data());
  handle->handle_bytes = sizeof inode;
  handle->handle_type = fileid_kernfs;
  std::memcpy(memory.data() + offsetof(file_handle, f_handle), &inode, sizeof inode);

  auto mount = open(".", O_RDONLY | O_DIRECTORY);  // O_PATH does not do here
  if (!mount) return mount.error();
  const UniqueFd directory{
      ::open_by_handle_at(mount->get(), handle, O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return last_error("open_by_handle_at", ".");

  const auto path_of = [](int fd) {
    std::array<char, PATH_MAX> path;
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
    return std::string(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  const std::string root = path_of(mount->get());
  const std::string path = path_of(directory.get());
  if (root.empty() || path.empty()) return last_error("readlink", "/proc/self/fd");
  if (path == root) return std::string{};
  if (path.starts_with(root + "/")) return path.substr(root.size() + 1);
  errno = EXDEV;
  return last_error("open_by_handle_at", ".");
}

Result<std::unique_ptr<Watch>> RealHost::watch(PathRef path) const {
  auto file = open(path, O_RDONLY);
  if (!file) return file.error();
  return std::unique_ptr<Watch>{std::make_unique<RealWatch>(std::move(*file), shown(path))};
}

Result<RealHost::Entry> RealHost::locate_entry(PathRef path) const {
  const std::string_view text{path.c_str()};
  const auto slash = text.rfind('/');
  const std::string parent{slash == std::string_view::npos ? "." : text.substr(0, slash + 1)};
  std::string name{slash == std::string_view::npos ? text : text.substr(slash + 1)};
  auto directory = open(parent, O_PATH | O_DIRECTORY);
  if (!directory) return directory.error();
  return Entry{std::move(*directory), std::move(name)};
}

Result<void> RealHost::make_directory(PathRef path) {
  auto entry = locate_entry(path);
  if (!entry) return entry.error();
  const auto make = [&] { return ::mkdirat(entry->directory.get(), entry->name.c_str(), 0755); };
  if (retry_interrupted(make) != 0) return last_error("mkdir", path);
  return {};
}

Result<void> RealHost::remove_directory(PathRef path) {
  auto entry = locate_entry(path);
  if (!entry) return entry.error();
  const auto remove = [&] {
    return ::unlinkat(entry->directory.get(), entry->name.c_str(), AT_REMOVEDIR);
  };
  if (retry_interrupted(remove) != 0) return last_error("rmdir", path);
  return {};
}

Result<void> RealHost::write(PathRef path, std::string_view text) {
  auto file = open(path, O_WRONLY);
  if (!file) return file.error();
  const ssize_t count =
      retry_interrupted([&] { return ::write(file->get(), text.data(), text.size()); });
  if (count < 0) return last_error("write", path);
  if (static_cast<std::size_t>(count) != text.size()) {
    errno = EIO;
    return last_error("write", path);
  }
  return {};
}

Result<void> RealHost::set_attribute(PathRef path, const char* name, std::string_view value) {
  auto directory = open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  if (::fsetxattr(directory->get(), name, value.data(), value.size(), 0) != 0)
    return last_error("setxattr", path);
  return {};
}

Result<std::unique_ptr<Host>> RealHost::enter(PathRef directory) const {
  auto root = open(directory, O_PATH | O_DIRECTORY);
  if (!root) return root.error();
  return std::unique_ptr<Host>{new RealHost{std::move(*root), shown(directory)}};
}

Result<void> RealHost::kill(int pid, const std::function<bool()>& confirm) {
  // kill(2) takes 0 and below for whole groups of processes, our own among them.
  if (pid <= 0) return os_error(ESRCH, "kill", std::to_string(pid));
  const std::string name = std::to_string(pid);
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  // Before Linux 5.3 there is only the number.
  if (!process && errno != ENOSYS) return last_error("pidfd_open", name);
  if (!confirm()) return os_error(ESRCH, "kill", name);
  const long sent = process ? ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0)
                            : ::kill(pid, SIGKILL);
  if (sent != 0) return last_error("kill", name);
  return {};
}

unsigned RealHost::effective_uid() const {
  return ::geteuid();
}

unsigned RealHost::real_uid() const {
  return ::getuid();
}

Result<bool> RealHost::has_capability(int capability, CapabilitySet set) const {
  if (set == CapabilitySet::bounding) {
    const int held = ::prctl(PR_CAPBSET_READ, capability);
    if (held < 0) return os_error(errno, "prctl(PR_CAPBSET_READ)");
    return held == 1;
  }
  // libcap would ask twice, once for the version.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return os_error(errno, "capget");
  const auto index = static_cast<unsigned>(capability);
  if (index / 32 >= sets.size()) return os_error(EINVAL, "capget");
  const __user_cap_data_struct& word = sets[index / 32];
  const unsigned held = set == CapabilitySet::effective ? word.effective : word.permitted;
  return (held >> index % 32 & 1) != 0;
}

Result<bool> RealHost::no_new_privileges() const {
  const int set = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  if (set < 0) return os_error(errno, "prctl(PR_GET_NO_NEW_PRIVS)");
  return set == 1;
}

Result<int> RealHost::seccomp_mode() const {
  const int mode = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
  if (mode < 0) return os_error(errno, "prctl(PR_GET_SECCOMP)");
  return mode;
}

int RealHost::answer_to_bad_call(KernelCall call) const {
  const auto attempt = [call]() -> long {
    switch (call) {
      case KernelCall::clone3:
        return ::syscall(SYS_clone3, nullptr, 0);  // shorter than any version of its arguments
      case KernelCall::openat2:
        return ::syscall(SYS_openat2, -1, "", nullptr, 0);
      case KernelCall::pidfd_open:
        return ::syscall(SYS_pidfd_open, -1, 0);
      case KernelCall::pidfd_send_signal:
        return ::syscall(SYS_pidfd_send_signal, -1, 0, nullptr, 0);
      case KernelCall::mount_setattr:
        return ::syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0);
      case KernelCall::bpf:
        return ::syscall(SYS_bpf, -1, nullptr, 0);
      case KernelCall::unshare_user:
        // 1 is among the bits of clone(2) that name a signal: refused before anything is unshared.
        return ::syscall(SYS_unshare, CLONE_NEWUSER | 1);
    }
    return 0;
  };
  return attempt() < 0 ? errno : 0;
}

Result<int> RealHost::kvm_api_version(PathRef device) const {
  auto file = open(device, O_RDWR);
  if (!file) return file.error();
  const int version = ::ioctl(file->get(), KVM_GET_API_VERSION, 0);
  if (version < 0) return last_error("ioctl(KVM_GET_API_VERSION)", device);
  return version;
}

Result<void> RealHost::try_inotify() const {
  const UniqueFd instance{::inotify_init1(IN_CLOEXEC)};
  if (!instance) return os_error(errno, "inotify_init1");
  return {};
}

std::string RealHost::kernel_release() const {
  // Of this boot: it does not change.
  static const std::string release = [] {
    utsname names{};
    ::uname(&names);
    return std::string{names.release};
  }();
  return release;
}

std::optional<std::string> RealHost::environment(const char* name) const {
  const char* value = ::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string{value};
}

void RealHost::pause(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
}

std::chrono::steady_clock::time_point RealHost::now() const {
  return std::chrono::steady_clock::now();
}

std::chrono::system_clock::time_point RealHost::today() const {
  return std::chrono::system_clock::now();
}

}  // namespace surveyd
