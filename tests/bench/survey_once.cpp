// survey_once reference|p0|all [N]: surveys N times, so that the difference between two runs under
// `strace -c` is the system calls of a survey.

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
  for (int left = argc > 2 ? std::atoi(argv[2]) : 1; left > 0; --left)
    (void)conclude(run_probes(probes, host, {}), {});
}
