#pragma once

#include <chrono>
#include <optional>

#include <sys/types.h>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// A child of this process that does not outlive it: killed and reaped with the object, and by the
/// kernel when this process ends (unless it gains privileges by exec, which clears that).
class ChildProcess {
 public:
  /// fork(2). In the child, `pid` is 0 and everything else is as for a new process.
  [[nodiscard]] static Result<ChildProcess> fork();
  /// One that does nothing.
  [[nodiscard]] static Result<ChildProcess> idle();

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() { end(); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Waits for its end and reaps it: the status of wait(2), or nothing while it still runs.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);
  /// SIGKILL, and reaps it.
  void end();

 private:
  ChildProcess(pid_t pid, UniqueFd handle) : pid_(pid), handle_(std::move(handle)) {}

  pid_t pid_;
  UniqueFd handle_;  ///< pidfd
  std::optional<int> status_;
};

}  // namespace surveyd
