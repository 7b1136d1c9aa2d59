#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <surveyd/error.hpp>

#include "host/child_process.hpp"
#include "host/unique_fd.hpp"

namespace surveyd {

/// Another program, run without a shell in the same process group, with nothing on its standard
/// input. It ends with the object at the latest.
class RunningProgram {
 public:
  /// `words` begin with the program's absolute path; it works in `directory`, or where this process
  /// does. The error is execve(2)'s when it does not start.
  [[nodiscard]] static Result<RunningProgram> start(const std::vector<std::string>& words,
                                                    const std::string& directory = {});

  /// True once it has ended.
  [[nodiscard]] bool has_ended_within(std::chrono::milliseconds limit);
  /// Once it has ended: whether with status 0.
  [[nodiscard]] bool succeeded() const { return status_ == 0; }
  void end() { child_.end(); }

  /// What it has written so far on standard output and error, at most about 4 KiB.
  [[nodiscard]] const std::string& output();

 private:
  RunningProgram(ChildProcess child, UniqueFd pipe)
      : child_(std::move(child)), pipe_(std::move(pipe)) {}

  ChildProcess child_;
  UniqueFd pipe_;  ///< what it writes, non-blocking
  std::string text_;
  int status_ = -1;
};

/// The error of a program that has ended, `Fault::program_failed`, or would not, `timed_out`: its
/// last line is the detail.
[[nodiscard]] Error error_of(RunningProgram& program, Fault fault, const std::string& path);

/// Runs a program to its end and returns what it wrote. The error says why it does not start, or
/// is as above.
[[nodiscard]] Result<std::string> run_program(const std::vector<std::string>& words,
                                              std::chrono::milliseconds limit);

}  // namespace surveyd
