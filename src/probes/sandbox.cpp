#include "probes/sandbox.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "host/capability_name.hpp"
#include "parse/proc_status.hpp"

namespace surveyd::probes {
namespace {

constexpr int filtered = 2;  // SECCOMP_MODE_FILTER

// What is missing in the bounding set; nothing when that cannot be seen.
std::string missing_capabilities(const Host& host) {
  const auto status = host.read("/proc/self/status");
  const auto last = host.read("/proc/sys/kernel/cap_last_cap");
  if (!status || !last) return {};
  const auto field = parse::status_field(*status, "CapBnd");
  const auto held = field ? parse::capability_set(*field) : std::nullopt;
  if (!held) return {};
  std::string missing;
  for (int number = 0; number <= std::atoi(last->c_str()) && number < 64; ++number)
    if ((*held >> number & 1) == 0)
      missing += (missing.empty() ? "" : " ") + capability_name(number);
  return missing;
}

bool is_refusal(const Evidence& evidence) {
  constexpr std::array refusals = {EPERM, EACCES, EROFS, EAFNOSUPPORT};
  return std::any_of(refusals.begin(), refusals.end(), [&evidence](int number) {
    return evidence.error == std::error_code{number, std::generic_category()};
  });
}

// Ranges of ids, and programs that get rights from their files, are for those who may not map ids
// themselves: a sandbox makes them matter.
bool was_refused(const Finding& finding) {
  constexpr std::array codes = {ReasonCode::call_filtered,
                                ReasonCode::capability_missing,
                                ReasonCode::misbehaves,
                                ReasonCode::no_subordinate_ids,
                                ReasonCode::permission_denied,
                                ReasonCode::program_unprivileged,
                                ReasonCode::read_only,
                                ReasonCode::refused,
                                ReasonCode::too_few_subordinate_ids};
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
  if (const std::string missing = missing_capabilities(host); !missing.empty())
    parts.push_back("CapabilityBoundingSet= lacks " + missing);
  // Such a unit cannot look at process 1 to compare.
  if (!parts.empty())
    parts.emplace_back("its mounts may be its own (Protect…=, Private…=, ReadWritePaths=)");
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
