#include "host/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace surveyd {

Result<ChildProcess> ChildProcess::fork() {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(errno, "fork");
  if (pid == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // it has ended before it could be asked for the signal
    return ChildProcess{0, UniqueFd{}};
  }
  // It cannot be another process: only this one reaps it.
  return ChildProcess{pid, UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))}};
}

Result<ChildProcess> ChildProcess::idle() {
  auto child = fork();
  while (child && child->pid() == 0) ::pause();
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      handle_(std::move(other.handle_)),
      status_(other.status_) {}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  // Without pidfds (before Linux 5.3, or filtered) one can only look again and again.
  constexpr std::chrono::milliseconds glance{2};
  const auto end = Clock::now() + limit;
  while (pid_ > 0 && !status_) {
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == pid_) return status_ = status;
    if (reaped < 0 && errno != EINTR) return std::nullopt;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd event{handle_.get(), POLLIN, 0};  // a negative descriptor is skipped
    (void)::poll(&event, 1, static_cast<int>((handle_ ? left : std::min(left, glance)).count()));
  }
  return status_;
}

void ChildProcess::end() {
  if (pid_ <= 0 || status_) return;
  (void)::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  status_ = status;
}

}  // namespace surveyd
