#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/real_host.hpp"
#include "host/unique_fd.hpp"
#include "parse/words.hpp"
#include "support/fake_cgroup_host.hpp"

namespace surveyd::test {
namespace {

constexpr const char* tree = "/sys/fs/cgroup";
constexpr const char* prefix = "surveyd-contract-";

// Set once by prepare_kernel_world(), before any test.
std::string unavailable = "prepare_kernel_world() was not called";

std::string failure(const char* op) {
  return std::string{op} + ": " + std::strerror(errno);
}

[[noreturn]] void broken(const char* op) {
  throw std::runtime_error(failure(op));
}

std::string in_tree(const std::string& cgroup) {
  return std::string{tree} + "/" + cgroup;
}

std::vector<std::string> words_of(const RealHost& host, const std::string& path) {
  const auto text = host.read(path);
  return text ? parse::words(*text) : std::vector<std::string>{};
}

void remove_tree(RealHost& host, const std::string& path) {
  if (const auto entries = host.list(path))
    for (const DirectoryEntry& entry : *entries)
      if (entry.is_directory) remove_tree(host, path + "/" + entry.name);
  (void)host.remove_directory(path);
}

// Only one process at a time works in the machine's own tree: what is at its root belongs to all.
// The lock goes with the process, and what a killed one left behind is swept by the next.
int lock_tree() {
  static const UniqueFd root{::open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!root || ::flock(root.get(), LOCK_EX) != 0) broken("flock");
  return root.get();
}

void see_tree_as(View view) {
  const int namespaces = view == View::read_only ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWCGROUP;
  if (view == View::machine) return;
  if (::unshare(namespaces) != 0) broken("unshare");
  if (view == View::read_only &&
      ::mount("none", tree, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
    broken("remount");
  if (view != View::private_namespace) return;
  // A cgroup2 over a cgroup2 mount is EBUSY, even in another cgroup namespace.
  if (::umount2(tree, MNT_DETACH) != 0) broken("umount");
  if (::mount("none", tree, "cgroup2", 0, nullptr) != 0) broken("mount");
}

class KernelWorld final : public World {
 public:
  KernelWorld() {
    if (!unavailable.empty()) return;
    (void)lock_tree();
    static int count = 0;
    name_ = prefix + std::to_string(::getpid()) + "-" + std::to_string(++count);
    if (const auto entries = host_.list(tree))
      for (const DirectoryEntry& entry : *entries)
        if (entry.name.starts_with(prefix)) remove_tree(host_, in_tree(entry.name));
    delegated_before_ = words_of(host_, in_tree("cgroup.subtree_control"));
  }

  ~KernelWorld() override {
    if (!unavailable.empty()) return;
    while (!children_.empty()) end_process(children_.back());
    wait_until_empty(name_);
    remove_tree(host_, in_tree(name_));
    for (const std::string& name : words_of(host_, in_tree("cgroup.subtree_control")))
      if (std::find(delegated_before_.begin(), delegated_before_.end(), name) ==
          delegated_before_.end())
        (void)host_.write(in_tree("cgroup.subtree_control"), "-" + name);
    if (!playground_.empty()) {
      (void)::umount2((playground_ + "/mounted").c_str(), MNT_DETACH);
      (void)::umount2(playground_.c_str(), MNT_DETACH);
      (void)::rmdir(playground_.c_str());
    }
  }

  std::string why_not() const override { return unavailable; }
  Host& host() override { return host_; }
  const std::string& name() const override { return name_; }

  int start_process(const std::string& cgroup) override {
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) broken("pipe");
    const UniqueFd read_end{ready[0]};
    UniqueFd write_end{ready[1]};
    const pid_t pid = ::fork();
    if (pid < 0) broken("fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::prctl(PR_SET_NAME, "bystander");
      (void)!::write(write_end.get(), "r", 1);
      while (true) ::pause();
    }
    children_.push_back(pid);
    write_end = {};
    char byte = 0;
    if (::read(read_end.get(), &byte, 1) != 1) broken("bystander");
    if (!host_.write(in_tree(cgroup) + "/cgroup.procs", std::to_string(pid))) broken("attach");
    return pid;
  }

  void end_process(int pid) override {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    std::erase(children_, pid);
  }

  // A process that was waited for may still be leaving: the kernel says in cgroup.events, by
  // POLLPRI, when the last one has.
  void wait_until_empty(const std::string& cgroup) override {
    const UniqueFd events{
        ::open((in_tree(cgroup) + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC)};
    if (!events) return;  // it is not there
    while (true) {
      char text[256] = {};
      if (::pread(events.get(), text, sizeof text - 1, 0) <= 0) return;
      if (std::strstr(text, "populated 0") != nullptr) return;
      pollfd change{.fd = events.get(), .events = POLLPRI, .revents = 0};
      if (::poll(&change, 1, 10'000) == 0) throw std::runtime_error(cgroup + " stays populated");
    }
  }

  std::string run_in(const std::string& cgroup, View view,
                     const std::function<std::string(Host&)>& operation) override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) broken("pipe");
    const UniqueFd read_end{ends[0]};
    UniqueFd write_end{ends[1]};
    const pid_t pid = ::fork();
    if (pid < 0) broken("fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::string told;
      try {
        if (!host_.write(in_tree(cgroup) + "/cgroup.procs", "0")) broken("attach");
        see_tree_as(view);
        told = operation(host_);
      } catch (const std::exception& error) {
        told = std::string{"the process failed: "} + error.what();
      }
      (void)!::write(write_end.get(), told.data(), told.size());
      ::_exit(0);
    }
    write_end = {};
    std::string told;
    char chunk[4096];
    for (ssize_t count = 0; (count = ::read(read_end.get(), chunk, sizeof chunk)) > 0;)
      told.append(chunk, static_cast<std::size_t>(count));
    ::waitpid(pid, nullptr, 0);
    if (children_.empty()) wait_until_empty(name_);  // it may have moved
    return told;
  }

  const std::string& playground() override {
    if (!playground_.empty()) return playground_;
    std::string pattern = "/tmp/surveyd-contract-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) broken("mkdtemp");
    playground_ = pattern;
    const auto tmpfs = [](const std::string& at) {
      if (::mount("none", at.c_str(), "tmpfs", 0, "size=64k") != 0) broken("mount tmpfs");
    };
    tmpfs(playground_);
    for (const char* directory : {"/inside", "/mounted"})
      if (::mkdir((playground_ + directory).c_str(), 0755) != 0) broken("mkdir");
    for (const char* file : {"/file", "/inside/file"})
      std::ofstream(playground_ + file) << "text\n";
    (void)!::symlink("file", (playground_ + "/link").c_str());
    (void)!::symlink("/", (playground_ + "/out").c_str());
    (void)!::symlink("..", (playground_ + "/up").c_str());
    tmpfs(playground_ + "/mounted");
    return playground_;
  }

 private:
  RealHost host_;
  std::string name_;
  std::vector<std::string> delegated_before_;
  std::vector<pid_t> children_;
  std::string playground_;
};

}  // namespace

void prepare_kernel_world() {
  unavailable.clear();
  if (::geteuid() != 0) {
    unavailable = "needs root: a mount namespace and cgroup2 mount are to be made";
    return;
  }
  if (::unshare(CLONE_NEWNS) != 0) {
    unavailable = failure("unshare(CLONE_NEWNS)");
    return;
  }
  // Nothing that is mounted here may reach the machine.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    unavailable = failure("making the mounts private");
    return;
  }
  const RealHost host;
  for (auto at = host.file_system(tree); at && at->magic == cgroup2_magic;
       at = host.file_system(tree))
    if (::umount2(tree, MNT_DETACH) != 0) {
      unavailable = failure("umount -l of the cgroup2 that is there");
      return;
    }
  if (::mount("none", tree, "cgroup2", 0, nullptr) != 0)
    unavailable = failure("mount -t cgroup2 at /sys/fs/cgroup");
  else if (host.stat(in_tree("cgroup.type")))
    unavailable = "the tree that can be mounted is that of a private cgroup namespace";
}

std::unique_ptr<World> make_kernel_world() {
  return std::make_unique<KernelWorld>();
}

}  // namespace surveyd::test
