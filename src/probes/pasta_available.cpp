#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding pasta_available(Subject& subject) {
  auto path = find_program(subject.host(), "pasta");
  Finding finding = path ? yes("pasta is at " + *path) : no("pasta is not on PATH");
  finding.evidence.push_back(observed("PATH: pasta", path.value_or("not found")));
  finding.value = path.value_or("");
  return finding;
}

}  // namespace surveyd::probes
