#include "host/helper_process.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/service_manager.hpp"

namespace surveyd {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* own_binary = "/proc/self/exe";
// Sanitizers reserve terabytes of addresses.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif
// What the thread sanitizer notes of a child that shares the memory is noted of its parent, and
// that one then seems to have forgotten which locks it took. A copy of the memory it is there; that
// nothing could be executed shows by the end of the output only.
#if defined(__SANITIZE_THREAD__)
constexpr int shares_memory = 0;
#else
constexpr int shares_memory = CLONE_VM | CLONE_VFORK;
#endif
constexpr std::size_t longest_line = 1 << 20;

// Filled in once at start, before there are threads.
std::string& binary_at_start() {
  static std::string path;
  return path;
}

struct Streams {
  int input;
  int output;
  int errors;
};

// Out of the way of the standard streams, whatever was closed when this process was started.
UniqueFd above_streams(int fd) {
  const UniqueFd low{fd};
  return UniqueFd{fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
}

/// What a child is to execute, and what became of that.
struct Image {
  const char* path;
  char* const* words;
  Streams streams;
  int failure = 0;  ///< errno
};

// In a child that shares this process's memory until it executes: system calls and nothing else.
int execute(void* argument) {
  auto& image = *static_cast<Image*>(argument);
  // Not through the C library: what a sanitizer notes of it would be the parent's as well.
  constexpr std::array<std::uint64_t, 4> standard{};  // struct sigaction as the kernel has it
  constexpr std::uint64_t none = 0;
  for (int signal = 1; signal < NSIG; ++signal)
    ::syscall(SYS_rt_sigaction, signal, standard.data(), nullptr, sizeof none);
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  if (::dup2(image.streams.input, STDIN_FILENO) >= 0 &&
      ::dup2(image.streams.output, STDOUT_FILENO) >= 0 &&
      ::dup2(image.streams.errors, STDERR_FILENO) >= 0)
    ::execve(image.path, image.words, environ);
  image.failure = errno;
  ::_exit(127);
}

// This thread waits until the child executes, and no copy of the process with its threads ever runs
// on. Newer C libraries spawn with clone3(2), which some seccomp filters answer with EPERM.
Result<pid_t> spawn(const char* path, char* const* words, const Streams& streams) {
  constexpr std::size_t stack_size = 64 * 1024;
  alignas(16) std::array<std::byte, stack_size> stack;
  Image image{.path = path, .words = words, .streams = streams};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // A handler of this process must not run in the child.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::clone(execute, stack.data() + stack.size(), shares_memory | SIGCHLD, &image);
  const int error_number = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return os_error(error_number, "clone");
  if (image.failure != 0) {
    ::waitpid(pid, nullptr, 0);
    return os_error(image.failure, "execve", path);
  }
  return pid;
}

void limit(__rlimit_resource resource, rlim_t most) {
  rlimit current{};
  if (::getrlimit(resource, &current) != 0) return;
  current.rlim_cur = std::min(current.rlim_cur, most);
  current.rlim_max = std::min(current.rlim_max, most);
  (void)::setrlimit(resource, &current);
}

void close_from(unsigned first) {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  // Before Linux 5.9, or filtered.
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  const auto end = std::min<rlim_t>(descriptors.rlim_cur, 65536);
  for (rlim_t fd = first; fd < end; ++fd) ::close(static_cast<int>(fd));
}

int left_until(Clock::time_point end) {
  const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

}  // namespace

void remember_own_binary() {
  const auto* name = std::bit_cast<const char*>(::getauxval(AT_EXECFN));
  if (name == nullptr) return;
  std::string path{name};
  if (!path.starts_with('/')) {
    std::array<char, 4096> directory;
    if (::getcwd(directory.data(), directory.size()) == nullptr) return;
    path = std::string{directory.data()} + "/" + path;
  }
  binary_at_start() = path;
}

Result<HelperProcess> HelperProcess::start(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_error(errno, "pipe2");
  UniqueFd read = above_streams(ends[0]);
  const UniqueFd write = above_streams(ends[1]);
  // Its errors go nowhere: this process's log has a form of its own. Without a /dev/null the
  // reading end of the pipe has to do: nothing comes of it, and writing to it fails.
  const UniqueFd nothing = above_streams(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!read || !write) return os_error(errno, "fcntl(F_DUPFD_CLOEXEC)");
  const int other = nothing ? nothing.get() : read.get();

  std::vector<std::string> words = {"surveyd", helper_command, std::to_string(::getpid())};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const Streams streams{other, write.get(), other};
  auto pid = spawn(own_binary, pointers.data(), streams);
  if (!pid && !binary_at_start().empty())  // no /proc
    pid = spawn(binary_at_start().c_str(), pointers.data(), streams);
  if (!pid) return pid.error();
  (void)::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  // It cannot be another process: only this one reaps it.
  return HelperProcess{*pid, UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0))},
                       std::move(read)};
}

HelperProcess::HelperProcess(HelperProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      handle_(std::move(other.handle_)),
      output_(std::move(other.output_)),
      text_(std::move(other.text_)),
      status_(other.status_) {}

HelperProcess::~HelperProcess() {
  kill();
  (void)wait(milliseconds{0});
}

Result<std::optional<std::string>> HelperProcess::read_line(milliseconds limit) {
  const auto end = Clock::now() + limit;
  std::array<char, 4096> chunk;
  while (true) {
    if (const auto feed = text_.find('\n'); feed != std::string::npos) {
      std::string line = text_.substr(0, feed);
      text_.erase(0, feed + 1);
      return std::optional{std::move(line)};
    }
    if (text_.size() > longest_line) return os_error(EMSGSIZE, "read", "the helper's output");
    const ssize_t count = ::read(output_.get(), chunk.data(), chunk.size());
    if (count > 0) {
      text_.append(chunk.data(), static_cast<std::size_t>(count));
      continue;
    }
    if (count == 0) return std::optional<std::string>{};  // half a line says nothing
    if (errno != EAGAIN && errno != EINTR) return os_error(errno, "read", "the helper's output");
    const int left = left_until(end);
    if (left == 0) return Error{.code = Fault::timed_out, .op = "read", .path = {}};
    pollfd event{output_.get(), POLLIN, 0};
    (void)::poll(&event, 1, left);
  }
}

void HelperProcess::ask_to_end() {
  send(SIGTERM);
}

void HelperProcess::kill() {
  send(SIGKILL);
}

void HelperProcess::send(int signal) {
  if (pid_ <= 0 || status_) return;
  if (!handle_ || ::syscall(SYS_pidfd_send_signal, handle_.get(), signal, nullptr, 0) != 0)
    (void)::kill(pid_, signal);  // not reaped yet, so still it
}

std::optional<int> HelperProcess::wait(milliseconds limit) {
  // Without pidfds (before Linux 5.3, or filtered) one can only look again and again.
  constexpr int glance = 2;
  const auto end = Clock::now() + limit;
  while (pid_ > 0 && !status_) {
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == pid_) return status_ = status;
    if (reaped < 0 && errno != EINTR) return std::nullopt;
    const int left = left_until(end);
    if (left == 0) return std::nullopt;
    pollfd event{handle_.get(), POLLIN, 0};  // a negative descriptor is skipped
    (void)::poll(&event, 1, handle_ ? left : std::min(left, glance));
  }
  return status_;
}

Result<void> become_helper(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return os_error(errno, "prctl(PR_SET_PDEATHSIG)");
  // It may have ended before it could be asked for the signal. 0 is a parent in another pid
  // namespace.
  const pid_t now = ::getppid();
  if (now != parent && now != 0) return os_error(ESRCH, "getppid", std::to_string(parent));
  close_from(STDERR_FILENO + 1);
  (void)::setpgid(0, 0);
  ::umask(0022);
  forget_service_manager();
  (void)::prctl(PR_SET_NAME, "surveyd-helper");  // executed as "exe"
  // A binary with file capabilities, or one that its user cannot read, is not dumpable, and then
  // the files of its /proc directory belong to root: EACCES for the maps of a user namespace.
  (void)::prctl(PR_SET_DUMPABLE, 1);
  (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, 60);
  limit(RLIMIT_FSIZE, rlim_t{256} << 20);
  if (!sanitized) limit(RLIMIT_AS, rlim_t{8} << 30);
  return {};
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return std::string{"was ended by "} +
           (name != nullptr ? "SIG" + std::string{name} : std::to_string(WTERMSIG(status)));
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace surveyd
