#pragma once

#include <optional>
#include <string>

#include <surveyd/error.hpp>

namespace surveyd {

/// With whose rights namespaces are made.
enum class Rights {
  own,             ///< the capabilities that this process has
  user_namespace,  ///< those of root in a new user namespace of its own
};

/// Makes this process, which must be single-threaded, the only member of these new namespaces
/// (CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWCGROUP, …; 0 for none but the user namespace itself). There
/// is no way back: it is for a process that ends afterwards. With a user namespace, this user's uid
/// and gid become 0 of it. Nothing that is mounted in a new mount namespace is seen outside.
/// The error names the step: `unshare(CLONE_NEWUSER|CLONE_NEWNS)`, `write` with
/// `/proc/self/uid_map`, `mount(MS_REC|MS_PRIVATE)` with `/`.
[[nodiscard]] Result<void> enter_namespaces(int namespaces, Rights rights);

/// What `isolate` arrived at.
struct Isolation {
  Rights rights = Rights::own;
  std::optional<Error> refused;  ///< why the own rights do not do, where a user namespace has to
};

/// Enters these namespaces with the own rights, else in an own user namespace. When neither can be
/// had, the error is the latter's, and its `refusal` the errno of the former.
[[nodiscard]] Result<Isolation> isolate(int namespaces);

/// The steps of `enter_namespaces`, for who needs another order.
[[nodiscard]] Result<void> unshare(int namespaces);
/// `setgroups`, `uid_map`, `gid_map` of the new user namespace, for the uid and gid before it.
[[nodiscard]] Result<void> become_root_of_namespace(unsigned outer_uid, unsigned outer_gid);
[[nodiscard]] Result<void> make_mounts_private();

}  // namespace surveyd
