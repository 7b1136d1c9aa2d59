// Surveys the seven reference fields as often as its argument says, so that the difference between
// two runs under `strace -c` is the system calls of a survey.

#include <cstdlib>

#include <surveyd/survey.hpp>

#include "bench/reference_probes.hpp"
#include "host/real_host.hpp"

int main(int argc, char** argv) {
  const surveyd::RealHost host;
  const auto probes = surveyd::bench::reference_probes();
  for (int left = argc > 1 ? std::atoi(argv[1]) : 1; left > 0; --left)
    (void)surveyd::conclude(surveyd::run_probes(probes, host, {}), {});
}
