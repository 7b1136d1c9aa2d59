#include <algorithm>

#include <surveyd/mode.hpp>

#include "domain/evidence.hpp"

namespace surveyd {
namespace {

/// A boolean field that the reference and the assessment answer from different findings.
void compare(std::vector<Disagreement>& list, const char* field, bool reference, bool assessed,
             std::string why) {
  if (reference != assessed) list.push_back({field, reference, assessed, std::move(why)});
}

// What is mounted there says more than the errno that came of it.
std::string why_unmet(const Findings& findings, const std::string& id) {
  if (id != "can_write_cgroup_root" || findings.status("cgroup_version") != Status::no)
    return findings.reason(id);
  return findings.reason("cgroup_version") + "; " + findings.reason(id);
}

FieldValue path_or_null(const std::string& path, bool present) {
  return present ? FieldValue{path} : FieldValue{};
}

// Fields of the reference that were tried, and turned out otherwise.
void compare_verified(std::vector<Disagreement>& list, const Findings& claims,
                      const Findings& findings) {
  for (const char* id : {"can_write_cgroup_root", "tun_device_available",
                         "overlayfs_rootfs_available", "fuse_overlayfs_rootfs_available"}) {
    const Finding* finding = findings.find(id);
    const bool listed = std::any_of(list.begin(), list.end(),
                                    [id](const Disagreement& one) { return one.field == id; });
    if (listed || finding == nullptr || finding->basis != Basis::verified) continue;
    compare(list, id, claims.is_yes(id), finding->status == Status::yes, finding->reason);
  }
}

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::full:
      return "full";
    case Mode::nested_adaptive:
      return "nested_adaptive";
    case Mode::degraded:
      break;
  }
  return "degraded";
}

Classification classify(const Findings& findings) {
  Classification result;
  auto& unmet = result.unmet_for_full;
  // Only a clear "no" proves that the process is not nested.
  if (findings.status("is_nested") != Status::no)
    unmet.push_back({"is_nested", findings.reason("is_nested")});
  for (const char* id : {"can_write_cgroup_root", "has_cap_net_admin", "tun_device_available"})
    if (!findings.is_yes(id)) unmet.push_back({id, why_unmet(findings, id)});

  if (unmet.empty())
    result.mode = Mode::full;
  else if (findings.is_yes("can_write_cgroup_root") || findings.is_yes("cgroup_parent"))
    result.mode = Mode::nested_adaptive;
  return result;
}

Assessment assess(const Findings& claims, const Findings& findings, Mode reference) {
  const bool contained = findings.status("container") != Status::no;
  const bool host = findings.is_yes("cgroup_host_placement");
  const bool scope = findings.is_yes("cgroup_scope_placement");
  const bool tun = tun_is_genuine(findings);

  Assessment result;
  if (!contained && host && findings.is_yes("has_cap_net_admin") && tun)
    result.mode = Mode::full;
  else if (host || scope)
    result.mode = Mode::nested_adaptive;
  auto& list = result.disagreements;
  if (result.mode == reference) {
    compare_verified(list, claims, findings);
    return result;
  }
  list.push_back({"effective_mode", std::string{to_string(reference)},
                  std::string{to_string(result.mode)},
                  "the fields below differ from what the kernel really grants here"});
  compare(list, "is_nested", claims.is_yes("is_nested"), contained, findings.reason("container"));
  // Not known to be nested counts as nested for the reference's mode.
  if (claims.status("is_nested") == Status::unknown && !contained)
    list.push_back({"is_nested", {}, false, claims.reason("is_nested")});
  compare(list, "can_write_cgroup_root", claims.is_yes("can_write_cgroup_root"), host,
          findings.reason("cgroup_host_placement"));
  compare(list, "tun_device_available", claims.is_yes("tun_device_available"), tun,
          findings.reason("tun_device_available"));
  const bool parent = claims.is_yes("cgroup_parent");
  if (parent != scope)
    list.push_back({"cgroup_parent", path_or_null(claims.value("cgroup_parent"), parent),
                    path_or_null(findings.value("cgroup_scope_placement"), scope),
                    findings.reason("cgroup_scope_placement")});
  compare_verified(list, claims, findings);
  return result;
}

}  // namespace surveyd
