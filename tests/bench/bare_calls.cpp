// bare_calls COUNT < CALLS: makes the system calls of a recording and nothing else, COUNT times,
// and prints how many nanoseconds one time takes. A line of it is a call: its name and its
// arguments, `n` a number, `s` a string of which the line goes on to the next tab, `b` space to
// write to, `c` the header of capget(2). bench/recording.py writes it.

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <list>
#include <map>
#include <string>
#include <vector>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

const std::map<std::string, long> numbers = {
#define CALL(name) \
  { #name, SYS_##name }
    CALL(access),
    CALL(bpf),
    CALL(capget),
    CALL(clone3),
    CALL(close),
    CALL(faccessat2),
    CALL(fstat),
    CALL(getdents64),
    CALL(geteuid),
    CALL(getuid),
    CALL(getxattr),
    CALL(inotify_init1),
    CALL(ioctl),
    CALL(mount_setattr),
    CALL(newfstatat),
    CALL(openat),
    CALL(openat2),
    CALL(pidfd_open),
    CALL(prctl),
    CALL(read),
    CALL(readlink),
    CALL(statfs),
    CALL(uname),
    CALL(unshare),
    CALL(pidfd_send_signal),
#undef CALL
};

struct Call {
  long number = 0;
  std::array<std::uintptr_t, 6> arguments{};
};

// What is written there is of no interest, only that it is.
alignas(64) std::array<char, 256 * 1024> space;
__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
std::list<std::string> strings;

Call parse(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find('\t', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  Call call;
  call.number = numbers.at(words.front());
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string text = words[i].substr(1);
    std::uintptr_t& argument = call.arguments.at(i - 1);
    switch (words[i].front()) {
      case 's':
        argument = reinterpret_cast<std::uintptr_t>(strings.emplace_back(text).c_str());
        break;
      case 'b':
        argument = reinterpret_cast<std::uintptr_t>(space.data());
        break;
      case 'c':
        argument = reinterpret_cast<std::uintptr_t>(&header);
        break;
      default:
        argument = std::stoull(text, nullptr, 0);
    }
  }
  return call;
}

}  // namespace

int main(int, char** argv) {
  const long count = std::atol(argv[1]);
  std::vector<Call> calls;
  for (std::string line; std::getline(std::cin, line);) calls.push_back(parse(line));
  const auto begun = std::chrono::steady_clock::now();
  for (long left = count; left > 0; --left)
    for (const Call& call : calls) {
      const auto& a = call.arguments;
      (void)::syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
  std::printf("%.0f\n", took.count() / static_cast<double>(count));
}
