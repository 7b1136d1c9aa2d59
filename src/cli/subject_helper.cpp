#include "cli/subject_helper.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include <surveyd/probe.hpp>

#include "host/subject_host.hpp"
#include "json/findings.hpp"
#include "probes/on_behalf.hpp"

namespace surveyd::cli {
namespace {

// A file of the subject's may never end.
void limit_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve terabytes
  rlimit memory{};
  if (::getrlimit(RLIMIT_AS, &memory) != 0) return;
  memory.rlim_cur = std::min<rlim_t>(memory.rlim_cur, rlim_t{256} << 20U);
  (void)::setrlimit(RLIMIT_AS, &memory);
#endif
}

Result<void> check_owner(const PinnedProcess& process, const run::SubjectOrder& order) {
  if (!order.owner) return {};
  const auto credentials = process.credentials();
  if (!credentials) return credentials.error();
  if (credentials->belongs_to(*order.owner)) return {};
  Error error = os_error(EPERM, "survey", "/proc/" + std::to_string(order.pid));
  error.detail = "it does not belong to the caller any more";
  return error;
}

// Whoever changed its rights or its cgroup meanwhile has been asked half as one and half as
// another.
Result<void> check_unchanged(const PinnedProcess& process, const SubjectFacts& facts) {
  const std::string path = "/proc/" + std::to_string(process.pid());
  if (!process.still_there()) {
    Error error{.code = Fault::no_such_process, .op = "survey", .path = path};
    error.detail = "it ended while it was surveyed";
    return error;
  }
  const auto now = process.credentials();
  const auto cgroup = process.read("cgroup");
  const auto before = facts.files.find("cgroup");
  const bool moved =
      cgroup && before != facts.files.end() && before->second && *before->second != *cgroup;
  // Its ids read otherwise where its user namespace could not be entered.
  const bool changed = now && !facts.files_out_of_reach && *now != facts.credentials;
  if (!moved && !changed && !has_left_namespaces(process, facts)) return {};
  Error error = os_error(EAGAIN, "survey", path);
  error.detail = "it changed its rights, its namespaces or its cgroup while it was surveyed";
  return error;
}

bool send(std::string text) {
  text += '\n';
  for (std::string_view rest{text}; !rest.empty();) {
    const ssize_t count = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Result<void> survey(const run::SubjectOrder& order, Findings& findings) {
  const auto process = PinnedProcess::pin(order.pid, order.start_time);
  if (!process) return process.error();
  // Before its namespaces are seen, and again at the end: it may execute a set-user-ID program.
  if (auto owned = check_owner(*process, order); !owned) return owned;
  const std::vector<Probe> probes = probes_for(order.storage);
  auto facts = take_the_place_of(*process);
  if (!facts) return facts.error();
  const SubjectHost host{*process, std::move(*facts)};
  findings = run_probes_on_behalf(probes, host, order.plan);
  return check_unchanged(*process, host.facts());
}

}  // namespace

int survey_subject(const run::SubjectOrder& order) {
  limit_memory();
  Findings findings;
  const auto outcome = survey(order, findings);
  if (outcome)
    for (const Finding& finding : findings.all())
      if (!send(json::finding_line(finding))) return 1;
  return send(run::last_line_of(outcome)) ? 0 : 1;
}

}  // namespace surveyd::cli
