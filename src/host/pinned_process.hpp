#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"
#include "parse/credentials.hpp"
#include "parse/proc_stat.hpp"

namespace surveyd {

/// One process, held so that another that gets its number later is not taken for it: everything is
/// read below its `/proc/<pid>` directory, which answers ESRCH once the process is gone, whoever
/// has the number then. A pidfd tells that it has ended (since Linux 5.3), its start time that it
/// is the one which somebody else has pinned.
class PinnedProcess {
 public:
  /// `Fault::no_such_process` when there is none, it has ended and nobody has taken note yet, its
  /// start time is another one than `start_time`, or it is a thread, of another process or of the
  /// kernel.
  [[nodiscard]] static Result<PinnedProcess> pin(int pid,
                                                 std::optional<std::uint64_t> start_time = {});

  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] std::uint64_t start_time() const { return start_time_; }
  /// Of its `/proc/<pid>`.
  [[nodiscard]] int directory() const { return directory_.get(); }

  /// False from the moment it has ended. Asked after reading, it says that all was the same one's.
  [[nodiscard]] bool still_there() const;

  /// A file of its `/proc/<pid>`, by its name there. `Fault::no_such_process` once it has ended.
  [[nodiscard]] Result<std::string> read(const char* name) const;
  [[nodiscard]] Result<UniqueFd> open(const char* name, int flags) const;
  /// From its `status`; EIO when that has not the form.
  [[nodiscard]] Result<parse::Credentials> credentials() const;

 private:
  PinnedProcess(int pid, UniqueFd descriptor, UniqueFd directory)
      : pid_(pid), descriptor_(std::move(descriptor)), directory_(std::move(directory)) {}

  int pid_;
  std::uint64_t start_time_ = 0;
  UniqueFd descriptor_;  ///< the pidfd; none before Linux 5.3 and where a filter forbids it
  UniqueFd directory_;
};

/// Why `text` (of a `/proc/<pid>/stat`) is not that of the process that was meant, or nothing.
[[nodiscard]] std::optional<std::string> not_the_process(const parse::ProcessStat& stat,
                                                         std::optional<std::uint64_t> start_time);

}  // namespace surveyd
