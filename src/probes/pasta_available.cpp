#include "probes/answer.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {

Finding pasta_available(Subject& subject) {
  const Program pasta = find_program(subject.host(), "pasta");
  Finding finding = answer(pasta.status, pasta.code,
                           pasta.status == Status::yes  ? "pasta is at " + pasta.path
                           : pasta.status == Status::no ? "pasta is not on PATH"
                                                        : "PATH cannot be searched for pasta");
  if (pasta.status == Status::no) finding.remedy = install(subject, "pasta", "passt");
  finding.evidence.push_back(observed("PATH: pasta", shown(pasta)));
  finding.value = pasta.path;
  return finding;
}

}  // namespace surveyd::probes
