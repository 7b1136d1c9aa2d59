#include <algorithm>
#include <iterator>

#include <surveyd/survey.hpp>

namespace surveyd {

namespace {

// ENOENT alone does not tell a hierarchy that is not mounted from a /sys that is masked.
void doubt_cgroup_root(Findings& findings) {
  const Finding* version = findings.find("cgroup_version");
  if (version != nullptr && version->status == Status::unknown &&
      findings.status("can_write_cgroup_root") == Status::no)
    findings.doubt("can_write_cgroup_root", version->code, version->reason);
}

void compare_modes(const char* what, Mode from, Mode to, const Survey& after,
                   std::vector<Change>& changes) {
  if (from == to) return;
  Change change{.generation = after.run.generation,
                .at = after.run.surveyed_at,
                .what = what,
                .from = to_string(from),
                .to = to_string(to)};
  if (!after.unmet_for_full.empty())
    change.reason =
        after.unmet_for_full.front().capability + ": " + after.unmet_for_full.front().reason;
  changes.push_back(std::move(change));
}

// All but the findings themselves.
Survey follow_from(const Findings& claims, const Findings& findings) {
  Survey survey;
  Classification classification = classify(claims);

  Capabilities& fields = survey.capabilities;
  fields.is_root = claims.is_yes("is_root");
  fields.is_nested = claims.is_yes("is_nested");
  if (claims.is_yes("cgroup_parent")) fields.cgroup_parent = claims.value("cgroup_parent");
  fields.can_write_cgroup_root = claims.is_yes("can_write_cgroup_root");
  fields.has_cap_net_admin = claims.is_yes("has_cap_net_admin");
  fields.tun_device_available = claims.is_yes("tun_device_available");
  fields.overlayfs_rootfs_available = claims.is_yes("overlayfs_rootfs_available");
  fields.fuse_overlayfs_rootfs_available = claims.is_yes("fuse_overlayfs_rootfs_available");
  fields.effective_mode = classification.mode;

  survey.unmet_for_full = std::move(classification.unmet_for_full);
  survey.assessment = assess(claims, findings, classification.mode);
  survey.overlay = decide_overlay(findings);
  survey.rootfs = decide_rootfs(findings);
  return survey;
}

}  // namespace

Survey conclude(Findings claims, SurveyRun run) {
  doubt_cgroup_root(claims);
  Survey survey = follow_from(claims, claims);
  survey.findings = std::move(claims);
  survey.run = std::move(run);
  return survey;
}

Survey conclude(Findings claims, Findings findings, SurveyRun run) {
  doubt_cgroup_root(claims);
  doubt_cgroup_root(findings);
  Survey survey = follow_from(claims, findings);
  survey.findings = std::move(findings);
  survey.run = std::move(run);
  return survey;
}

std::span<const Change> Survey::new_changes() const {
  const auto first = std::find_if(changes->begin(), changes->end(), [this](const Change& change) {
    return change.generation == run.generation;
  });
  return {first, changes->end()};
}

void compare_with(const Survey& before, Survey& after) {
  std::vector<Change> news;
  for (Finding& finding : after.findings.all()) {
    const Finding* was = before.findings.find(finding.id);
    if (was == nullptr) continue;
    if (is_same_answer(*was, finding)) {
      finding.changed_at = was->changed_at;
      continue;
    }
    news.push_back({.generation = after.run.generation,
                    .at = finding.changed_at,
                    .what = finding.id,
                    .from = to_string(was->status),
                    .to = to_string(finding.status),
                    .from_code = to_string(was->code),
                    .to_code = to_string(finding.code),
                    .reason = finding.reason});
  }
  compare_modes("effective_mode", before.capabilities.effective_mode,
                after.capabilities.effective_mode, after, news);
  compare_modes("assessed_mode", before.assessment.mode, after.assessment.mode, after, news);
  after.changes = before.changes;
  if (news.empty()) return;
  std::vector<Change> all = *before.changes;
  all.insert(all.end(), std::make_move_iterator(news.begin()), std::make_move_iterator(news.end()));
  if (all.size() > most_changes_kept)
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(most_changes_kept));
  after.changes = std::make_shared<const std::vector<Change>>(std::move(all));
}

}  // namespace surveyd
