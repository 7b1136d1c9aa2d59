#include "json/documents.hpp"

#include <nlohmann/json.hpp>

#include "json/text.hpp"

namespace surveyd::json {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json field_value(const FieldValue& value) {
  return std::visit(
      [](const auto& held) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>)
          return nullptr;
        else
          return held;
      },
      value);
}

ordered_json processes(const std::vector<Process>& processes) {
  ordered_json list = ordered_json::array();
  for (const Process& process : processes) {
    list.push_back({{"pid", process.pid}, {"command", process.command}});
    if (process.state != 0) list.back()["state"] = std::string(1, process.state);
  }
  return list;
}

}  // namespace

std::string capabilities(const Survey& survey) {
  const Capabilities& fields = survey.capabilities;
  ordered_json document = {
      {"is_root", fields.is_root},
      {"is_nested", fields.is_nested},
      {"cgroup_parent", or_null(fields.cgroup_parent)},
      {"can_write_cgroup_root", fields.can_write_cgroup_root},
      {"has_cap_net_admin", fields.has_cap_net_admin},
      {"tun_device_available", fields.tun_device_available},
      {"overlayfs_rootfs_available", fields.overlayfs_rootfs_available},
      {"fuse_overlayfs_rootfs_available", fields.fuse_overlayfs_rootfs_available},
      {"effective_mode", to_string(fields.effective_mode)},
      {"assessed_mode", to_string(survey.assessment.mode)}};

  document["disagreements"] = ordered_json::array();
  for (const Disagreement& one : survey.assessment.disagreements)
    document["disagreements"].push_back({{"field", one.field},
                                         {"reference", field_value(one.reference)},
                                         {"assessed", field_value(one.assessed)},
                                         {"why", one.why}});
  document["unmet_for_full"] = ordered_json::array();
  for (const Unmet& one : survey.unmet_for_full)
    document["unmet_for_full"].push_back({{"capability", one.capability}, {"reason", one.reason}});
  document["overlay"] = {{"network", survey.overlay.network},
                         {"fallback_reason", or_null(survey.overlay.fallback_reason)},
                         {"rootless_possible", survey.overlay.rootless_possible}};
  document["rootfs"] = {{"driver", survey.rootfs.driver},
                        {"fusermount", or_null(survey.rootfs.fusermount)}};
  document["survey"] = about(survey.run);
  return text_of(document);
}

std::string changes(const Survey& survey) {
  ordered_json document;
  document["changes"] = ordered_json::array();
  for (auto one = survey.changes->rbegin(); one != survey.changes->rend(); ++one) {
    ordered_json change = {{"at", timestamp(one->at)},
                           {"generation", one->generation},
                           {"what", one->what},
                           {"from", one->from},
                           {"to", one->to}};
    if (!one->to_code.empty()) {
      change["from_code"] = one->from_code;
      change["to_code"] = one->to_code;
    }
    change["reason"] = one->reason;
    document["changes"].push_back(std::move(change));
  }
  document["survey"] = about(survey.run);
  return text_of(document);
}

std::string daemon_capabilities(const Survey& survey) {
  const Capabilities& fields = survey.capabilities;
  return text_of({{"mode", to_string(fields.effective_mode)},
                  {"is_root", fields.is_root},
                  {"is_nested", fields.is_nested},
                  {"cgroup_parent", or_null(fields.cgroup_parent)},
                  {"can_write_cgroup_root", fields.can_write_cgroup_root},
                  {"has_cap_net_admin", fields.has_cap_net_admin},
                  {"tun_device_available", fields.tun_device_available}});
}

std::string ensured(const EnsureReport& report) {
  ordered_json document = {{"container_parent", report.container_parent},
                           {"placement", to_string(report.placement)},
                           {"created", report.created}};
  document["migrated"] = processes(report.migrated);
  document["controllers"] = ordered_json::object();
  for (const ControllerOutcome& one : report.controllers) {
    ordered_json& outcome = document["controllers"][one.name];
    if (one.enabled)
      outcome = "enabled";
    else
      outcome = {{"reason", one.reason},
                 {"errno", one.error ? ordered_json(errno_name(one.error)) : nullptr},
                 {"path", one.path}};
  }
  return text_of(document);
}

std::string containers(const ContainerList& list, const std::set<std::string>& removing) {
  ordered_json document = {{"container_parent", list.container_parent},
                           {"placement", to_string(list.placement)},
                           {"exists", list.exists},
                           {"offered", list.offered},
                           {"delegated", list.delegated},
                           {"containers", ordered_json::array()}};
  for (const ContainerCgroup& one : list.containers)
    document["containers"].push_back(
        {{"id", one.id},
         {"populated", one.populated},
         {"processes", one.processes},
         {"nested", one.nested},
         {"controllers", one.controllers},
         {"created_at", timestamp(one.created_at)},
         {"empty_since", one.empty_since ? ordered_json(timestamp(*one.empty_since)) : nullptr},
         {"orphaned", one.orphaned},
         {"removing", removing.contains(one.id)}});
  return text_of(document);
}

std::string removal(const Removal& removal) {
  return text_of({{"id", removal.id}, {"removed", removal.removed}});
}

std::string health(std::string_view status) {
  return text_of({{"status", status}});
}

std::string problem(const Problem& problem) {
  ordered_json document = {
      {"type", problem.type}, {"title", problem.title}, {"status", problem.status}};
  const auto add = [&document](const char* name, const std::string& value) {
    if (!value.empty()) document[name] = value;
  };
  add("detail", problem.detail);
  add("op", problem.op);
  add("path", problem.path);
  add("errno", problem.error_number);
  if (!problem.processes.empty()) document["processes"] = processes(problem.processes);
  if (!problem.children.empty()) document["children"] = problem.children;
  if (!problem.migrated.empty()) document["migrated"] = processes(problem.migrated);
  return text_of(document);
}

std::string string_literal(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace surveyd::json
