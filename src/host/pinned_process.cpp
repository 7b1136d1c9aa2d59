#include "host/pinned_process.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parse/proc_status.hpp"

namespace surveyd {
namespace {

Error no_such_process(int pid, std::string detail) {
  Error error{.code = Fault::no_such_process, .op = "pin", .path = "/proc/" + std::to_string(pid)};
  error.detail = std::move(detail);
  return error;
}

// ENOENT from the directory of /proc, ESRCH from what lies below one that is held open.
bool is_gone(int error_number) {
  return error_number == ENOENT || error_number == ESRCH;
}

// A /proc that was mounted for another pid namespace has other numbers than the system calls take.
Result<void> check_own_proc() {
  std::array<char, 32> target{};
  const ssize_t size = ::readlink("/proc/self", target.data(), target.size());
  if (size < 0) return os_error(errno, "readlink", "/proc/self");
  if (std::string(target.data(), static_cast<std::size_t>(size)) == std::to_string(::getpid()))
    return {};
  Error error = os_error(ESRCH, "readlink", "/proc/self");
  error.detail = "/proc shows the processes of another pid namespace than surveyd's";
  return error;
}

}  // namespace

std::optional<std::string> not_the_process(const parse::ProcessStat& stat,
                                           std::optional<std::uint64_t> start_time) {
  if (start_time && stat.start_time != *start_time)
    return "the number belongs to another process by now";
  if (stat.state == 'Z' || stat.state == 'X')
    return "it has ended, and its parent has not taken note yet";
  if (stat.is_kernel_thread()) return "it is a thread of the kernel, which nothing is granted to";
  return std::nullopt;
}

Result<PinnedProcess> PinnedProcess::pin(int pid, std::optional<std::uint64_t> start_time) {
  if (const auto own = check_own_proc(); !own) return own.error();
  if (pid <= 0) return no_such_process(pid, "a process has a number from 1 on");
  // The pidfd first: as long as it says that the process lives, the number is that process's, and
  // so is the directory that was opened by it in between.
  UniqueFd descriptor{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!descriptor && errno == ESRCH) return no_such_process(pid, "");
  const std::string path = "/proc/" + std::to_string(pid);
  UniqueFd directory{::open(path.c_str(), O_DIRECTORY | O_CLOEXEC)};
  if (!directory) {
    const int error_number = errno;
    if (is_gone(error_number)) return no_such_process(pid, "");
    return os_error(error_number, "open", path);
  }

  PinnedProcess process{pid, std::move(descriptor), std::move(directory)};
  const auto text = process.read("stat");
  if (!text) return text.error();
  const auto stat = parse::process_stat(*text);
  if (!stat) return os_error(EIO, "read", path + "/stat");
  if (auto why = not_the_process(*stat, start_time)) return no_such_process(pid, std::move(*why));
  // /proc answers for a thread's number, too, without listing it.
  const auto status = process.read("status");
  if (!status) return status.error();
  if (parse::status_field(*status, "Tgid") != std::to_string(pid))
    return no_such_process(pid, "it is a thread of another process");
  process.start_time_ = stat->start_time;
  if (!process.still_there()) return no_such_process(pid, "");
  return process;
}

bool PinnedProcess::still_there() const {
  if (descriptor_) {
    pollfd ended{.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, 0) != 0) return false;
  }
  const auto text = read("stat");
  // Whoever may not read any more has not learnt that it is gone: a pidfd has just said otherwise.
  if (!text) return descriptor_ && text.error().code != Fault::no_such_process;
  const auto stat = parse::process_stat(*text);
  return stat &&
         !not_the_process(*stat, start_time_ != 0 ? std::optional{start_time_} : std::nullopt);
}

Result<UniqueFd> PinnedProcess::open(const char* name, int flags) const {
  UniqueFd file{::openat(directory_.get(), name, flags | O_CLOEXEC)};
  if (file) return file;
  const int error_number = errno;
  // ENOENT is also the answer for a file that this kernel does not have.
  const bool ended = error_number == ESRCH ||
                     (error_number == ENOENT &&
                      ::faccessat(directory_.get(), "stat", F_OK, 0) != 0 && is_gone(errno));
  if (ended) return no_such_process(pid_, "it has ended");
  return os_error(error_number, "open", "/proc/" + std::to_string(pid_) + "/" + name);
}

Result<parse::Credentials> PinnedProcess::credentials() const {
  const auto status = read("status");
  if (!status) return status.error();
  auto credentials = parse::credentials(*status);
  if (!credentials) return os_error(EIO, "read", "/proc/" + std::to_string(pid_) + "/status");
  return std::move(*credentials);
}

Result<std::string> PinnedProcess::read(const char* name) const {
  auto file = open(name, O_RDONLY);
  if (!file) return file.error();
  std::string text;
  std::array<char, 4096> chunk;
  while (true) {
    const ssize_t count = ::read(file->get(), chunk.data(), chunk.size());
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == ESRCH) return no_such_process(pid_, "it has ended");
    if (count < 0) return os_error(errno, "read", "/proc/" + std::to_string(pid_) + "/" + name);
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace surveyd
