#include <algorithm>
#include <array>

#include <surveyd/cgroup_tree.hpp>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/cgroup_answers.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

// systemd marks what it delegates: trusted.* for units of the system, user.* since version 251.
constexpr std::array delegation_marks = {"trusted.delegate", "user.delegate"};
constexpr std::array limits = {"cgroup.max.descendants", "cgroup.max.depth", "pids.max"};

const Remedy ensure_parent = {
    "Have it made: POST /cgroups/ensure, which every orchestrator does first.",
    "curl -X POST http://localhost:9847/cgroups/ensure"};

std::string missing_of(const ContainerParent& parent) {
  std::vector<std::string> missing;
  for (const std::string& name : parent.offered)
    if (std::find(parent.delegated.begin(), parent.delegated.end(), name) == parent.delegated.end())
      missing.push_back(name);
  return parse::joined(missing);
}

// What a reader needs who wonders why; nobody reads it where all is well.
void add_circumstances(Subject& subject, const std::string& directory, Finding& finding) {
  const Host& host = subject.host();
  for (const char* limit : limits)
    finding.evidence.push_back(what_file_says(host, directory + "/" + limit));
  if (const auto info = host.stat(directory))
    finding.evidence.push_back(
        observed("stat(" + directory + ")",
                 "owner " + std::to_string(info->owner) + ":" + std::to_string(info->group)));
  for (const char* name : delegation_marks) {
    const auto mark = host.attribute(directory, name);
    const std::string source = "getxattr(" + directory + ", " + name + ")";
    finding.evidence.push_back(mark ? observed(source, *mark) : failed(source, mark.error()));
  }
  finding.evidence.push_back(observed("/proc/self/mountinfo: nsdelegate",
                                      subject.hierarchy().ends_at_namespace ? "yes" : "no"));
}

Finding without_parent(Subject& subject, const Error& error) {
  const std::string why = error.detail.empty() ? describe(error) : error.detail;
  const ReasonCode code = error.code == Fault::not_a_domain        ? ReasonCode::threaded
                          : error.code == Fault::no_usable_cgroup2 ? ReasonCode::outside_namespace
                                                                   : code_of(error);
  Finding finding = answer(meaning_of(error), code, "no container parent is possible: " + why);
  if (code == ReasonCode::read_only) finding.remedy = make_cgroups_writable(subject);
  finding.evidence.push_back(failed(error.op + "(" + error.path + ")", error));
  return finding;
}

}  // namespace

// The value is what is delegated now: systemd may withdraw controllers at any time.
Finding cgroup_delegation(Subject& subject) {
  if (auto without = without_cgroup2(subject)) return *without;
  const auto& parent = subject.container_parent();
  if (!parent) return without_parent(subject, parent.error());
  const std::string& directory = parent->levels.back();
  if (!parent->exists) {
    Finding finding = with_remedy(
        no(ReasonCode::not_ensured, parent->path + " has not been made yet"), ensure_parent);
    finding.evidence.push_back(observed("stat(" + directory + ")", "not there"));
    return finding;
  }

  const std::string lacking = missing_of(*parent);
  const Evidence type = what_file_says(subject.host(), directory + "/cgroup.type");
  Finding finding;
  if (!type.error && type.value != "domain")
    finding =
        no(ReasonCode::threaded, parent->path + " cannot hold containers: it is " + type.value);
  else if (lacking.empty())
    finding = yes(parent->path + " delegates every controller that it is offered");
  else
    finding = with_remedy(
        no(ReasonCode::controllers_missing, parent->path + " does not delegate " + lacking),
        ensure_parent);
  for (const std::string& name : parent->delegated)
    finding.value += (finding.value.empty() ? "" : " ") + name;
  finding.evidence = {observed(parent->path + "/cgroup.subtree_control", finding.value), type};
  if (finding.status != Status::yes) add_circumstances(subject, directory, finding);
  return finding;
}

}  // namespace surveyd::probes
