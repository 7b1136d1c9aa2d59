#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

// The initial user namespace maps every id to itself (user_namespaces(7)).
bool is_of_initial_namespace(const std::string& uid_map) {
  return parse::words(uid_map) == std::vector<std::string>{"0", "0", "4294967295"};
}

}  // namespace

Finding is_root(Subject& subject) {
  const unsigned uid = subject.host().effective_uid();
  const auto& map = subject.uid_map();
  Finding finding = no(ReasonCode::not_root, "the effective user id is " + std::to_string(uid));
  if (uid == 0 && map && !is_of_initial_namespace(*map))
    finding = yes(ReasonCode::namespaced_root,
                  "the effective user id is 0, in a user namespace: root of the host is another");
  else if (uid == 0)
    finding = yes("the effective user id is 0");
  finding.evidence.push_back(observed("geteuid()", std::to_string(uid)));
  finding.evidence.push_back(map ? observed("/proc/self/uid_map", parse::joined(parse::words(*map)))
                                 : failed("/proc/self/uid_map", map.error()));
  return finding;
}

}  // namespace surveyd::probes
