#include "probes/sandbox.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "parse/proc_status.hpp"

namespace surveyd::probes {
namespace {

constexpr int filtered = 2;  // SECCOMP_MODE_FILTER

std::string bounding_set(const Host& host, const char* path) {
  const auto text = host.read(path);
  return text ? parse::status_field(*text, "CapBnd").value_or("") : std::string{};
}

// Process 1 has the mounts of the host. Without the right to look at it, what counts is that a unit
// has mounts of its own only when one of its settings asks for them.
bool has_own_mounts(const Host& host) {
  const auto own = host.read("/proc/self/mountinfo");
  const auto first = host.read("/proc/1/mountinfo");
  return own && first && *own != *first;
}

bool is_refusal(const Evidence& evidence) {
  constexpr std::array refusals = {EPERM, EACCES, EROFS, EAFNOSUPPORT};
  return std::any_of(refusals.begin(), refusals.end(), [&evidence](int number) {
    return evidence.error == std::error_code{number, std::generic_category()};
  });
}

bool was_refused(const Finding& finding) {
  constexpr std::array codes = {ReasonCode::call_filtered, ReasonCode::capability_missing,
                                ReasonCode::misbehaves,    ReasonCode::permission_denied,
                                ReasonCode::read_only,     ReasonCode::refused};
  return std::find(codes.begin(), codes.end(), finding.code) != codes.end() ||
         std::any_of(finding.evidence.begin(), finding.evidence.end(), is_refusal);
}

}  // namespace

std::string find_sandbox(const Host& host) {
  // systemd gives one to every service (systemd.exec(5)).
  if (!host.environment("INVOCATION_ID")) return {};
  std::vector<std::string> parts;
  if (const auto mode = host.seccomp_mode(); mode && *mode == filtered)
    parts.emplace_back("system calls are filtered (SystemCallFilter= and the like)");
  const std::string own = bounding_set(host, "/proc/self/status");
  const std::string first = bounding_set(host, "/proc/1/status");
  if (!own.empty() && !first.empty() && own != first)
    parts.push_back("CapabilityBoundingSet= leaves " + own + " of " + first);
  if (has_own_mounts(host)) parts.emplace_back("its mounts are its own (Protect…=, Private…=)");
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

Findings name_sandbox(Findings findings, const std::string& sandbox) {
  if (sandbox.empty()) return findings;
  for (Finding& finding : findings.all())
    if (finding.status != Status::yes && was_refused(finding))
      finding.evidence.push_back(
          {.source = "the sandbox of surveyd's own unit", .value = sandbox, .error = {}});
  return findings;
}

}  // namespace surveyd::probes
