#pragma once

#include <string>

#include <sys/types.h>

#include <surveyd/error.hpp>

#include "host/child_process.hpp"
#include "host/unique_fd.hpp"

namespace surveyd {

/// A child that lives in new namespaces, among them a user namespace, and does nothing, so that
/// others can be pointed at them. They are gone with the object.
class NamespaceHolder {
 public:
  enum class Ids {
    unmapped,  ///< somebody else writes the maps
    own_user,  ///< the child maps 0 to the user that it was
  };

  /// `namespaces` besides CLONE_NEWUSER. The error names the step, as those of isolation.hpp do.
  [[nodiscard]] static Result<NamespaceHolder> make(int namespaces, Ids ids);

  /// What the child is called in /proc, which may be that of another PID namespace than ours: for
  /// programs that look there.
  [[nodiscard]] pid_t pid() const { return pid_in_proc_; }
  /// A file of its directory in /proc: `uid_map`, `net/dev`.
  [[nodiscard]] std::string file(const std::string& name) const;
  /// A descriptor of one of its namespaces: `user`, `net`.
  [[nodiscard]] Result<UniqueFd> open_namespace(const std::string& name) const;

 private:
  NamespaceHolder(ChildProcess child, pid_t pid_in_proc)
      : child_(std::move(child)), pid_in_proc_(pid_in_proc) {}

  ChildProcess child_;
  pid_t pid_in_proc_;
};

}  // namespace surveyd
