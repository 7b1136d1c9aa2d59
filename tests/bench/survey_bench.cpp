// One survey of the seven reference fields beside the bare system calls that it cannot do without.

#include <array>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <surveyd/survey.hpp>

#include "bench/reference_probes.hpp"
#include "host/real_host.hpp"

namespace surveyd::bench {
namespace {

void survey_of_reference_fields(benchmark::State& state) {
  const RealHost host;
  const auto probes = reference_probes();
  for (auto _ : state) benchmark::DoNotOptimize(conclude(run_probes(probes, host, {}), {}));
}
BENCHMARK(survey_of_reference_fields);

void bare_system_calls(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(::syscall(SYS_geteuid));
    std::array<char, 4096> text;
    const int cgroup = ::open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    benchmark::DoNotOptimize(::read(cgroup, text.data(), text.size()));
    ::close(cgroup);
    benchmark::DoNotOptimize(::access("/sys/fs/cgroup/cgroup.subtree_control", W_OK));
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    benchmark::DoNotOptimize(::syscall(SYS_capget, &header, sets.data()));
    const int tun = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun >= 0) ::close(tun);
  }
}
BENCHMARK(bare_system_calls);

void survey_of_p0_claims(benchmark::State& state) {
  const RealHost host;
  const auto probes = p0_probes();
  for (auto _ : state) benchmark::DoNotOptimize(conclude(run_probes(probes, host, {}), {}));
}
BENCHMARK(survey_of_p0_claims);

void survey_of_everything(benchmark::State& state) {
  const RealHost host;
  const auto probes = every_probe();
  for (auto _ : state) benchmark::DoNotOptimize(conclude(run_probes(probes, host, {}), {}));
}
BENCHMARK(survey_of_everything);

}  // namespace
}  // namespace surveyd::bench

BENCHMARK_MAIN();
