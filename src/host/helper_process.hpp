#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// The command that this binary understands as "be a helper": not for people.
inline constexpr const char* helper_command = "helper";

/// This binary once more, executed anew, so that it has no threads: it may enter namespaces, and
/// hang, where a daemon may not. It has nothing open but its output, and ends with the thread that
/// started it at the latest.
class HelperProcess {
 public:
  /// Its command line is `surveyd helper <pid of this process> <arguments…>`. The error names the
  /// step that failed. May be called by any thread.
  [[nodiscard]] static Result<HelperProcess> start(const std::vector<std::string>& arguments);

  HelperProcess(HelperProcess&& other) noexcept;
  HelperProcess& operator=(HelperProcess&&) = delete;
  /// Kills it, and does not wait: what is stuck in the kernel stays a zombie's parent's matter.
  ~HelperProcess();

  /// The next line of its output, without the line feed; nothing at the end of the output.
  /// `Fault::timed_out` when there is none within `limit`, EMSGSIZE for one that never ends.
  [[nodiscard]] Result<std::optional<std::string>> read_line(std::chrono::milliseconds limit);

  /// SIGTERM: one that verifies ends what it tries, removes what that has made, and ends.
  void ask_to_end();
  /// SIGKILL.
  void kill();

  /// Reaps it: the status of wait(2), or nothing while it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  HelperProcess(pid_t pid, UniqueFd handle, UniqueFd output)
      : pid_(pid), handle_(std::move(handle)), output_(std::move(output)) {}

  void send(int signal);

  pid_t pid_;
  UniqueFd handle_;  ///< pidfd
  UniqueFd output_;  ///< non-blocking
  std::string text_;
  std::optional<int> status_;
};

/// Where this binary lies, for the case that there is no /proc to find it through: to be called
/// before the working directory changes.
void remember_own_binary();

/// What a helper does first: it ends with `parent` (the process that started it), dumps no core,
/// takes a bounded share of the machine, and has nothing open but standard input, output and error.
/// The orphans of what it forks become its own children.
[[nodiscard]] Result<void> become_helper(pid_t parent);

/// "ended with status 1", "was ended by signal 9".
[[nodiscard]] std::string describe_end(int status);

}  // namespace surveyd
