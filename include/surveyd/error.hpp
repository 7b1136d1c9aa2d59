#pragma once

#include <string>
#include <system_error>
#include <vector>

#include <boost/system/result.hpp>

namespace surveyd {

/// What surveyd itself finds wrong where no errno says it.
enum class Fault {
  invalid_container_id = 1,  ///< outside the grammar of container_id.hpp
  no_usable_cgroup2,         ///< hybrid, v1, unmounted, or our own place in it is out of sight
  occupied,                  ///< processes or child cgroups are in the way; Error names them
  not_a_domain,              ///< a cgroup on the way is threaded or domain invalid
  not_read_back,             ///< the kernel took a write whose effect could not be seen afterwards
  timed_out,                 ///< the operation did not finish within its deadline
  program_failed,            ///< a program that was run; Error has what it complained of as detail
  no_such_process,       ///< it is gone, its number is another's by now, or none to be asked for
  subject_out_of_reach,  ///< it cannot be asked on behalf of another process; says nothing
};

[[nodiscard]] std::error_code make_error_code(Fault fault);

/// A process that an operation meets.
struct Process {
  int pid = 0;          ///< as seen from surveyd's pid namespace; 0 when it lives in another one
  std::string command;  ///< `/proc/<pid>/comm`, empty when it could not be read
  char state = 0;       ///< as in `/proc/<pid>/stat`: 'R', 'S', 'D', …; 0 when it is not known
  bool kernel_thread = false;
  bool exiting = false;  ///< it has begun to end, which may take a while: its memory is freed first
};

/// A failure with everything that its reader needs to act on it.
struct Error {
  std::error_code code;  ///< an errno (`std::generic_category`) or a `Fault`
  std::string op;        ///< the system call or step that failed: `mkdir`, `write +memory`
  std::string path;      ///< what it was applied to; empty when nothing has a path
  std::string detail;    ///< one sentence that explains or advises; may be empty

  std::vector<Process> processes;     ///< with `Fault::occupied` and `timed_out`: who is in the way
  std::vector<std::string> children;  ///< with `Fault::occupied`: child cgroups in the way
  std::error_code refusal;            ///< the errno behind a `Fault`, where the kernel gave one
  std::vector<Process> migrated;      ///< what had been moved before it failed, and stays moved
};

template <class T>
using Result = boost::system::result<T, Error>;

/// An `Error` from an errno value.
[[nodiscard]] Error os_error(int error_number, std::string op, std::string path = {});

/// The name of the errno in `code` ("EROFS"), or empty when it holds none.
[[nodiscard]] std::string errno_name(const std::error_code& code);

/// Whether the failure says nothing about what was asked: this process ran out of descriptors,
/// memory or luck, or a filter answers in the kernel's place (ENOSYS).
[[nodiscard]] bool is_inconclusive(const std::error_code& code);

/// `op path: message`, one line for a log or a terminal.
[[nodiscard]] std::string to_string(const Error& error);

/// Lets `Result<T>::value()` throw: a broken invariant, caught by the last boundary only.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

}  // namespace surveyd

template <>
struct std::is_error_code_enum<surveyd::Fault> : std::true_type {};
