#include <array>

#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

// Left by podman, docker and systemd. Evidence only: images and machines carry stray ones.
constexpr std::array marker_files = {"/run/.containerenv", "/.dockerenv", "/run/systemd/container"};

}  // namespace

Finding container(Subject& subject) {
  const cgroup::Namespaces& namespaces = subject.namespaces();
  Finding finding;
  for (const std::string& name : namespaces.own)
    finding.value += (finding.value.empty() ? "" : " ") + name;
  if (!namespaces.own.empty()) {
    finding.status = Status::yes;
    finding.reason = "not the initial namespace: " + finding.value;
  } else if (namespaces.unreadable.empty()) {
    finding.status = Status::no;
    finding.reason = "the cgroup, pid and user namespaces are the initial ones";
  } else {
    finding.reason =
        "the namespaces cannot be read: " + describe(namespaces.unreadable.front().second);
  }
  finding.evidence.push_back(
      observed("/proc/self/ns: not initial", finding.value.empty() ? "none" : finding.value));
  for (const auto& [path, error] : namespaces.unreadable)
    finding.evidence.push_back(failed(path, error));
  for (const char* path : marker_files) {
    const auto info = subject.host().stat(path);
    finding.evidence.push_back(info ? observed(path, "present") : failed(path, info.error()));
  }
  return finding;
}

}  // namespace surveyd::probes
