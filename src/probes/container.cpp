#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

// What the runtime told the first process of the container: `container=podman`. Ordinarily that is
// readable for root alone.
Evidence first_process(const Host& host) {
  constexpr const char* source = "/proc/1/environ: container";
  const auto environment = host.read("/proc/1/environ");
  if (!environment) return failed(source, environment.error());
  constexpr std::string_view name = "container=";
  std::string_view rest{*environment};
  while (!rest.empty()) {
    const auto end = rest.find('\0');
    const std::string_view variable = rest.substr(0, end);
    if (variable.starts_with(name))
      return observed(source, std::string{variable.substr(name.size())});
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return observed(source, "not set");
}

}  // namespace

Finding container(Subject& subject) {
  const cgroup::Namespaces& namespaces = subject.namespaces();
  Finding finding;
  std::string own;
  for (const std::string& name : namespaces.own) own += (own.empty() ? "" : " ") + name;
  if (!own.empty()) {
    finding = yes(ReasonCode::own_namespaces, "not the initial namespace: " + own);
  } else if (namespaces.unreadable.empty()) {
    finding = no(ReasonCode::initial_namespaces,
                 "the cgroup, pid and user namespaces are the initial ones");
  } else {
    const Error& error = namespaces.unreadable.front().second;
    finding = unknown(code_of(error), "the namespaces cannot be read: " + describe(error));
  }
  finding.value = own;
  finding.evidence.push_back(observed("/proc/self/ns: not initial", own.empty() ? "none" : own));
  for (const auto& [path, error] : namespaces.unreadable)
    finding.evidence.push_back(failed(path, error));
  for (const auto& [path, error] : subject.surroundings().markers)
    finding.evidence.push_back(error ? failed(path, *error) : observed(path, "present"));
  finding.evidence.push_back(first_process(subject.host()));
  return finding;
}

}  // namespace surveyd::probes
