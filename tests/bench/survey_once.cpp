// survey_once reference|p0|all [COUNT]: surveys COUNT times and prints how many nanoseconds one
// took. The difference between two runs under strace is the system calls of a survey.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <surveyd/survey.hpp>

#include "bench/reference_probes.hpp"
#include "host/real_host.hpp"

int main(int argc, char** argv) {
  using namespace surveyd;
  const std::string_view what = argc > 1 ? argv[1] : "reference";
  const RealHost host;
  const auto probes = what == "p0"    ? bench::p0_probes()
                      : what == "all" ? bench::every_probe()
                                      : bench::reference_probes();
  const int count = argc > 2 ? std::atoi(argv[2]) : 1;
  const auto begun = std::chrono::steady_clock::now();
  for (int left = count; left > 0; --left) (void)conclude(run_probes(probes, host, {}), {});
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
  std::printf("%.0f\n", took.count() / count);
}
