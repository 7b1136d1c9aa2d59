#include "host/process_usage.hpp"

#include <cstdlib>
#include <ctime>

#include <sys/resource.h>
#include <unistd.h>

#include "parse/words.hpp"

namespace surveyd {
namespace {

std::uint64_t number(const std::vector<std::string>& words, std::size_t index) {
  return index < words.size() ? std::strtoull(words[index].c_str(), nullptr, 10) : 0;
}

// Field 22 of proc(5) stat is in clock ticks since boot; `btime` of /proc/stat is the boot itself.
double start_time(const Host& host) {
  const auto own = host.read("/proc/self/stat");
  const auto machine = host.read("/proc/stat");
  if (!own || !machine) return 0;
  // The second field is the command in parentheses and may hold blanks.
  const auto after_command = own->rfind(')');
  const auto boot = machine->find("\nbtime ");
  if (after_command == std::string::npos || boot == std::string::npos) return 0;
  const auto fields = parse::words(std::string_view{*own}.substr(after_command + 1));
  constexpr std::size_t start_ticks = 22 - 3;
  return std::strtod(machine->c_str() + boot + 7, nullptr) +
         static_cast<double>(number(fields, start_ticks)) /
             static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessUsage process_usage(const Host& host) {
  ProcessUsage usage;
  if (const auto pages = host.read("/proc/self/statm")) {
    const auto words = parse::words(*pages);
    const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    usage.virtual_bytes = number(words, 0) * page_size;
    usage.resident_bytes = number(words, 1) * page_size;
  }
  // The listing itself holds one of them open.
  if (const auto open = host.list("/proc/self/fd"); open && !open->empty())
    usage.open_descriptors = open->size() - 1;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.most_descriptors = limit.rlim_cur;
  static const double started_at = start_time(host);
  usage.started_at = started_at;
  return usage;
}

double process_cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace surveyd
