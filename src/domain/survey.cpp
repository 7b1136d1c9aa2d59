#include <surveyd/survey.hpp>

namespace surveyd {

Survey conclude(Findings findings, SurveyRun run) {
  Survey survey;
  // ENOENT alone does not tell a hierarchy that is not mounted from a /sys that is masked.
  const Finding* version = findings.find("cgroup_version");
  if (version != nullptr && version->status == Status::unknown &&
      findings.status("can_write_cgroup_root") == Status::no)
    findings.doubt("can_write_cgroup_root", version->code, version->reason);
  Classification classification = classify(findings);

  Capabilities& fields = survey.capabilities;
  fields.is_root = findings.is_yes("is_root");
  fields.is_nested = findings.is_yes("is_nested");
  if (findings.is_yes("cgroup_parent")) fields.cgroup_parent = findings.value("cgroup_parent");
  fields.can_write_cgroup_root = findings.is_yes("can_write_cgroup_root");
  fields.has_cap_net_admin = findings.is_yes("has_cap_net_admin");
  fields.tun_device_available = findings.is_yes("tun_device_available");
  fields.overlayfs_rootfs_available = findings.is_yes("overlayfs_rootfs_available");
  fields.fuse_overlayfs_rootfs_available = findings.is_yes("fuse_overlayfs_rootfs_available");
  fields.effective_mode = classification.mode;

  survey.unmet_for_full = std::move(classification.unmet_for_full);
  survey.assessment = assess(findings, classification.mode);
  survey.overlay = decide_overlay(findings);
  survey.rootfs = decide_rootfs(findings);
  survey.findings = std::move(findings);
  survey.run = run;
  return survey;
}

}  // namespace surveyd
