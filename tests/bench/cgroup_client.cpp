// The measuring side of cgroup_bench.py: does one thing COUNT times and prints, a line each time,
// what its calls took in nanoseconds.
//
//   cgroup_client pair DIRECTORY COUNT                    mkdir, rmdir
//   cgroup_client delete DIRECTORY COUNT SOCKET           mkdir, DELETE over HTTP
//   cgroup_client kill DIRECTORY COUNT SOCKET             mkdir and a process, DELETE by force
//   cgroup_client request COUNT SOCKET METHOD TARGET      the request
//   cgroup_client commands COUNT FIRST... -- SECOND...    both commands, from start to end
//
// DIRECTORY is the container parent. Requests are made ready beforehand and sent over one
// keep-alive connection to a Unix socket: what is measured is the daemon and the kernel, not a
// client library. Any answer but 200 and any command that fails end the run.

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// What is made in the container parent; gone again after each turn.
constexpr const char* container = "bench";

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "cgroup_client: %s\n", what.c_str());
  std::exit(1);
}

[[noreturn]] void fail_with_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

long now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

template <class Call>
long nanoseconds(Call call) {
  const long begun = now();
  call();
  return now() - begun;
}

class KeepAlive {
 public:
  explicit KeepAlive(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail("the path of the socket is too long");
    path.copy(address.sun_path, path.size());
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      fail_with_errno("connect " + path);
  }
  KeepAlive(const KeepAlive&) = delete;
  KeepAlive& operator=(const KeepAlive&) = delete;
  ~KeepAlive() { ::close(socket_); }

  void exchange(std::string_view request) {
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      fail_with_errno("send");
    answer_.clear();
    end_ = std::string::npos;
    while (!is_whole()) {
      char part[65536];
      const ssize_t size = ::recv(socket_, part, sizeof part, 0);
      if (size <= 0) fail("the daemon closed the connection after: " + answer_);
      answer_.append(part, static_cast<std::size_t>(size));
    }
    if (!answer_.starts_with("HTTP/1.1 200 ")) fail("answered: " + answer_);
  }

  [[nodiscard]] const std::string& answer() const { return answer_; }

 private:
  bool is_whole() {
    constexpr std::string_view name = "\r\nContent-Length: ";
    if (end_ == std::string::npos) {
      const std::size_t head = answer_.find("\r\n\r\n");
      const std::size_t length = answer_.find(name);
      if (head == std::string::npos || length > head) return false;
      std::size_t body = 0;
      std::from_chars(answer_.data() + length + name.size(), answer_.data() + head, body);
      end_ = head + 4 + body;
    }
    return answer_.size() >= end_;
  }

  int socket_;
  std::string answer_;
  std::size_t end_ = std::string::npos;
};

std::string make_request(std::string_view method, std::string_view target) {
  std::string text{method};
  return text.append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

int open_directory(const char* path) {
  const int directory = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) fail_with_errno(path);
  return directory;
}

void make_in(int directory) {
  if (::mkdirat(directory, container, 0755) != 0) fail_with_errno("mkdir");
}

void pair(const char* path, int count) {
  const int directory = open_directory(path);
  for (int left = count; left > 0; --left) {
    const long made = nanoseconds([&] { make_in(directory); });
    const long removed = nanoseconds([&] {
      if (::unlinkat(directory, container, AT_REMOVEDIR) != 0) fail_with_errno("rmdir");
    });
    std::printf("%ld %ld\n", made, removed);
  }
}

long remove_over_http(KeepAlive& daemon, const std::string& request) {
  const long removed = nanoseconds([&] { daemon.exchange(request); });
  if (daemon.answer().find("\"removed\": true") == std::string::npos)
    fail("answered: " + daemon.answer());
  return removed;
}

void remove_empty(const char* path, int count, const char* socket) {
  const int directory = open_directory(path);
  KeepAlive daemon{socket};
  const auto request = make_request("DELETE", std::string{"/cgroups/containers/"} + container);
  for (int left = count; left > 0; --left) {
    const long made = nanoseconds([&] { make_in(directory); });
    std::printf("%ld %ld\n", made, remove_over_http(daemon, request));
  }
}

pid_t live_in(int cgroup) {
  clone_args how{};
  how.flags = CLONE_INTO_CGROUP;
  how.exit_signal = SIGCHLD;
  how.cgroup = static_cast<unsigned>(cgroup);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &how, sizeof how));
  if (pid < 0) fail_with_errno("clone3");
  while (pid == 0) ::pause();
  return pid;
}

void kill_and_remove(const char* path, int count, const char* socket) {
  const int directory = open_directory(path);
  KeepAlive daemon{socket};
  const auto request =
      make_request("DELETE", std::string{"/cgroups/containers/"} + container + "?force=true");
  for (int left = count; left > 0; --left) {
    pid_t pid = 0;
    const long made = nanoseconds([&] {
      make_in(directory);
      const int cgroup = ::openat(directory, container, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (cgroup < 0) fail_with_errno("open");
      pid = live_in(cgroup);
      ::close(cgroup);
    });
    // The kernel holds a second change of cgroup.events back for 10 ms (kernel/cgroup/cgroup.c,
    // CGROUP_FILE_NOTIFY_MIN_INTV): a container that has lived for longer is the usual case.
    ::usleep(20'000);
    std::printf("%ld %ld\n", made, remove_over_http(daemon, request));
    ::waitpid(pid, nullptr, 0);
  }
}

volatile std::sig_atomic_t asked_to_end = 0;

// SIGTERM ends it after the request under way: the daemon is then idle again.
void repeat_request(int count, const char* socket, const char* method, const char* target) {
  std::signal(SIGTERM, [](int) { asked_to_end = 1; });
  KeepAlive daemon{socket};
  const std::string request = make_request(method, target);
  for (int left = count; left > 0 && asked_to_end == 0; --left)
    std::printf("%ld\n", nanoseconds([&] { daemon.exchange(request); }));
}

using Command = std::vector<char*>;

// Standard error stays; nobody may wait for the end of the other two, which a container keeps open.
void run(const Command& command) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, command.front(), &actions, nullptr, command.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(std::string{command.front()} + ": " + std::strerror(error));
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0)
    fail(std::string{command.front()} + " ended with status " + std::to_string(status));
}

void repeat_commands(int count, char** words) {
  Command first;
  for (; *words != nullptr && std::string_view{*words} != "--"; ++words) first.push_back(*words);
  first.push_back(nullptr);
  if (*words == nullptr) fail("commands: no -- between the two");
  Command second;
  for (++words; *words != nullptr; ++words) second.push_back(*words);
  second.push_back(nullptr);
  for (int left = count; left > 0; --left) {
    const long begun = nanoseconds([&] { run(first); });
    std::printf("%ld %ld\n", begun, nanoseconds([&] { run(second); }));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "pair" && argc == 4) {
    pair(argv[2], std::atoi(argv[3]));
  } else if (what == "delete" && argc == 5) {
    remove_empty(argv[2], std::atoi(argv[3]), argv[4]);
  } else if (what == "kill" && argc == 5) {
    kill_and_remove(argv[2], std::atoi(argv[3]), argv[4]);
  } else if (what == "request" && argc == 6) {
    repeat_request(std::atoi(argv[2]), argv[3], argv[4], argv[5]);
  } else if (what == "commands" && argc > 5) {
    repeat_commands(std::atoi(argv[2]), argv + 3);
  } else {
    std::fputs("usage: see the head of cgroup_client.cpp\n", stderr);
    return 2;
  }
}
