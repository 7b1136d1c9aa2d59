#include "host/forked.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/unique_fd.hpp"
#include "parse/proc_status.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// What is killed and does not end within this hangs in the kernel.
constexpr milliseconds patience_with_the_killed{500};
constexpr milliseconds glance{5};

// Forks that hang, and will for who knows how long.
std::set<pid_t>& left_behind() {
  static std::set<pid_t> pids;
  return pids;
}

// Readable once SIGTERM has come; none as long as that simply ends the process.
UniqueFd& request_to_end() {
  static UniqueFd signal;
  return signal;
}

struct Fork {
  pid_t pid;
  UniqueFd handle;  ///< pidfd; none before Linux 5.3
  UniqueFd output;  ///< non-blocking
};

Result<Fork> start(const std::function<void(int)>& work) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_error(errno, "pipe2");
  UniqueFd read{ends[0]};
  UniqueFd write{ends[1]};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(errno, "fork");
  if (pid == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    (void)::setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    read = UniqueFd{};
    work(write.get());
    ::_exit(0);
  }
  (void)::setpgid(pid, pid);  // both, as nobody knows who comes first
  (void)::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  return Fork{pid, UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))}, std::move(read)};
}

void take_output(const Fork& fork, std::string& output) {
  constexpr std::size_t most = 1 << 20;
  std::array<char, 4096> chunk;
  while (output.size() < most) {
    const ssize_t count = ::read(fork.output.get(), chunk.data(), chunk.size());
    if (count <= 0) return;
    output.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

// Its end, not that of its output, is waited for: who it has left running may still hold that.
void await(const Fork& fork, milliseconds limit, int request, ForkOutcome& outcome) {
  const auto end = Clock::now() + limit;
  while (true) {
    int status = 0;
    const pid_t reaped = ::waitpid(fork.pid, &status, WNOHANG);
    take_output(fork, outcome.output);
    if (reaped == fork.pid) outcome.status = status;
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (outcome.status || left.count() <= 0) return;
    std::array<pollfd, 3> events{pollfd{fork.output.get(), POLLIN, 0},
                                 pollfd{fork.handle.get(), POLLIN, 0}, pollfd{request, POLLIN, 0}};
    const bool blind = !fork.handle;
    (void)::poll(events.data(), events.size(),
                 static_cast<int>((blind ? std::min(left, glance) : left).count()));
    // A closed output would be ready for ever.
    if ((events[0].revents & (POLLIN | POLLHUP)) == POLLHUP)
      ::poll(&events[1], 2, static_cast<int>((blind ? std::min(left, glance) : left).count()));
    if ((events[2].revents & POLLIN) != 0) return;
  }
}

void kill_fork(const Fork& fork) {
  (void)::kill(-fork.pid, SIGKILL);
  if (!fork.handle || ::syscall(SYS_pidfd_send_signal, fork.handle.get(), SIGKILL, nullptr, 0) != 0)
    (void)::kill(fork.pid, SIGKILL);  // not reaped yet, so still it
}

// The number of a process of /proc for this process: /proc may be that of an outer pid namespace,
// whose numbers stand for others here. NSpid has one number a level, the outermost first.
std::optional<pid_t> number_here(pid_t in_proc) {
  const auto numbers = [](const std::string& process) {
    std::ifstream file{"/proc/" + process + "/status"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    return parse::words(parse::status_field(text, "NSpid").value_or(""));
  };
  const std::size_t level = numbers("self").size();
  if (level == 0) return in_proc;  // before Linux 4.1
  const std::vector<std::string> of_process = numbers(std::to_string(in_proc));
  if (of_process.size() < level) return std::nullopt;
  const std::string& text = of_process[level - 1];
  pid_t pid = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 0 ? std::optional{pid} : std::nullopt;
}

bool is_child(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// The children of this process besides those that were given up: orphans that came to it as the
// nearest subreaper, once the fork is over.
std::vector<pid_t> orphans() {
  std::vector<pid_t> pids;
  std::ifstream children{"/proc/thread-self/children"};
  for (pid_t in_proc = 0; children >> in_proc;) {
    const auto pid = number_here(in_proc);
    if (pid && is_child(*pid) && !left_behind().contains(*pid)) pids.push_back(*pid);
  }
  return pids;
}

bool has_ended(pid_t pid) {
  return ::waitpid(pid, nullptr, WNOHANG) != 0;
}

// Killing one makes its own children orphans in turn.
void end_orphans() {
  const auto end = Clock::now() + patience_with_the_killed;
  for (auto pids = orphans(); !pids.empty(); pids = orphans()) {
    for (const pid_t pid : pids) {
      (void)::kill(pid, SIGKILL);
      if (!has_ended(pid) && Clock::now() >= end) left_behind().insert(pid);
    }
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace

void end_forks_on_request() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  // Blocked only when there is another way to notice it.
  UniqueFd signal{::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!signal) return;
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  request_to_end() = std::move(signal);
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

bool asked_to_end() {
  pollfd event{request_to_end().get(), POLLIN, 0};
  return ::poll(&event, 1, 0) > 0 && (event.revents & POLLIN) != 0;
}

Result<ForkOutcome> run_forked(const std::function<void(int)>& work, milliseconds limit,
                               bool tidies) {
  std::erase_if(left_behind(), has_ended);
  auto fork = start(work);
  if (!fork) return fork.error();
  ForkOutcome outcome;
  await(*fork, limit, tidies ? -1 : request_to_end().get(), outcome);
  outcome.timed_out = !outcome.status;
  if (outcome.timed_out) {
    kill_fork(*fork);
    await(*fork, patience_with_the_killed, -1, outcome);
    if (!outcome.status) left_behind().insert(fork->pid);
  }
  (void)::kill(-fork->pid, SIGKILL);  // its group, as long as anybody is in it
  end_orphans();
  return outcome;
}

}  // namespace surveyd
