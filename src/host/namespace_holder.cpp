#include "host/namespace_holder.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "host/isolation.hpp"

namespace surveyd {
namespace {

// What the child says once it is ready, in the pipe's terms.
struct Report {
  int error_number = 0;
  pid_t pid_in_proc = 0;
  std::array<char, 64> op{};
  std::array<char, 64> path{};
};

void copy_text(std::array<char, 64>& to, const std::string& from) {
  std::strncpy(to.data(), from.c_str(), to.size() - 1);
}

// Under our own number there may be somebody else in /proc, or nobody.
Result<pid_t> find_in_proc() {
  constexpr const char* path = "/proc/self";
  std::array<char, 16> name{};
  const ssize_t size = ::readlink(path, name.data(), name.size());
  if (size < 0) return os_error(errno, "readlink", path);
  pid_t pid = 0;
  (void)std::from_chars(name.data(), name.data() + size, pid);
  if (pid <= 0) return os_error(ENOENT, "readlink", path);
  return pid;
}

Report enter(int namespaces, NamespaceHolder::Ids ids) {
  const unsigned uid = ::geteuid();
  const unsigned gid = ::getegid();
  auto done = unshare(namespaces | CLONE_NEWUSER);
  if (done && ids == NamespaceHolder::Ids::own_user) done = become_root_of_namespace(uid, gid);
  Report report;
  if (done) {
    const auto pid = find_in_proc();
    if (pid) {
      report.pid_in_proc = *pid;
      return report;
    }
    done = pid.error();
  }
  report.error_number = done.error().code.value();
  copy_text(report.op, done.error().op);
  copy_text(report.path, done.error().path);
  return report;
}

}  // namespace

Result<NamespaceHolder> NamespaceHolder::make(int namespaces, Ids ids) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_error(errno, "pipe2");
  const UniqueFd receiver{ends[0]};
  UniqueFd sender{ends[1]};
  auto child = ChildProcess::fork();
  if (!child) return child.error();
  if (child->pid() == 0) {
    const Report report = enter(namespaces, ids);
    (void)!::write(sender.get(), &report, sizeof report);
    while (report.error_number == 0) ::pause();
    ::_exit(1);
  }
  sender = UniqueFd{};
  Report report;
  if (::read(receiver.get(), &report, sizeof report) != sizeof report)
    return os_error(ECHILD, "fork");
  if (report.error_number != 0)
    return os_error(report.error_number, report.op.data(), report.path.data());
  return NamespaceHolder{std::move(*child), report.pid_in_proc};
}

std::string NamespaceHolder::file(const std::string& name) const {
  return "/proc/" + std::to_string(pid()) + "/" + name;
}

Result<UniqueFd> NamespaceHolder::open_namespace(const std::string& name) const {
  const std::string path = file("ns/" + name);
  UniqueFd descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!descriptor) return os_error(errno, "open", path);
  return descriptor;
}

}  // namespace surveyd
