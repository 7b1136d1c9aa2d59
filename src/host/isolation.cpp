#include "host/isolation.hpp"

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/unique_fd.hpp"

namespace surveyd {
namespace {

constexpr std::array namespace_names = {
    std::pair{CLONE_NEWUSER, "CLONE_NEWUSER"}, std::pair{CLONE_NEWNS, "CLONE_NEWNS"},
    std::pair{CLONE_NEWNET, "CLONE_NEWNET"},   std::pair{CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
    std::pair{CLONE_NEWPID, "CLONE_NEWPID"},   std::pair{CLONE_NEWIPC, "CLONE_NEWIPC"},
    std::pair{CLONE_NEWUTS, "CLONE_NEWUTS"}};

std::string unshare_call(int namespaces) {
  std::string call;
  for (const auto& [flag, name] : namespace_names)
    if ((namespaces & flag) != 0) call += (call.empty() ? "unshare(" : "|") + std::string{name};
  return call + ")";
}

// Each of these files takes one write(2) of the whole, and closes for good with it.
Result<void> write_once(const char* path, std::string_view text) {
  const UniqueFd file{::open(path, O_WRONLY | O_CLOEXEC)};
  if (!file) return os_error(errno, "open", path);
  if (::write(file.get(), text.data(), text.size()) < 0) return os_error(errno, "write", path);
  return {};
}

}  // namespace

Result<void> unshare(int namespaces) {
  if (::unshare(namespaces) != 0) return os_error(errno, unshare_call(namespaces));
  return {};
}

Result<void> become_root_of_namespace(unsigned outer_uid, unsigned outer_gid) {
  // A process that has changed its user, or gained capabilities by exec, is not dumpable: its files
  // in /proc belong to root then, and the maps do not open.
  (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  // Without CAP_SETGID outside, a group may be mapped only once nobody can drop groups any more
  // (user_namespaces(7)).
  auto done = write_once("/proc/self/setgroups", "deny");
  if (done) done = write_once("/proc/self/uid_map", "0 " + std::to_string(outer_uid) + " 1");
  if (done) done = write_once("/proc/self/gid_map", "0 " + std::to_string(outer_gid) + " 1");
  if (!done) return done;
  // Only the effective ids are mapped. Where the real ones differ, they become the same: a program
  // that is run would be somebody without a name, to whom fuse does not mount.
  if (::setresgid(0, 0, 0) != 0) return os_error(errno, "setresgid");
  if (::setresuid(0, 0, 0) != 0) return os_error(errno, "setresuid");
  return {};
}

Result<void> make_mounts_private() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return os_error(errno, "mount(MS_REC|MS_PRIVATE)", "/");
  return {};
}

Result<void> enter_namespaces(int namespaces, Rights rights) {
  const unsigned uid = ::geteuid();
  const unsigned gid = ::getegid();
  const bool own_user = rights == Rights::user_namespace;
  const int all = own_user ? namespaces | CLONE_NEWUSER : namespaces;
  auto done = all != 0 ? unshare(all) : Result<void>{};
  if (done && own_user) done = become_root_of_namespace(uid, gid);
  // A copy of the mounts starts as a peer of the originals, and passes on what is mounted in it.
  if (done && (namespaces & CLONE_NEWNS) != 0) done = make_mounts_private();
  return done;
}

Result<Isolation> isolate(int namespaces) {
  const auto direct = enter_namespaces(namespaces, Rights::own);
  if (direct) return Isolation{};
  auto inside = enter_namespaces(namespaces, Rights::user_namespace);
  if (inside) return Isolation{Rights::user_namespace, direct.error()};
  Error error = inside.error();
  error.refusal = direct.error().code;
  return error;
}

}  // namespace surveyd
