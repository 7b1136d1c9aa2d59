#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <surveyd/cgroup_tree.hpp>

#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"
#include "support/fake_cgroup_host.hpp"

namespace surveyd::test {

using Names = std::vector<std::string>;
inline const std::string tree = "/sys/fs/cgroup";
inline const char* const no_threaded = "v2 has neither the cpu nor the pids controller here";

// One line each, so that a process of its own can tell it through a pipe.
inline std::string told(const Error& error) {
  const std::string name = errno_name(error.code);
  std::string text = "failed: " + (name.empty() ? error.code.message() : name);
  for (const Process& process : error.processes)
    text += " " + std::to_string(process.pid) + "(" + process.command + ")";
  for (const std::string& child : error.children) text += " " + child;
  return text;
}

inline std::string told(const Result<EnsureReport>& report) {
  if (!report) return told(report.error());
  std::string text = std::string{to_string(report->placement)} + " " + report->container_parent;
  for (const std::string& path : report->created) text += " +" + path;
  for (const Process& process : report->migrated)
    text += process.pid == ::getpid() ? " self moved" : " another moved";
  for (const ControllerOutcome& one : report->controllers)
    if (!one.enabled) text += " no " + one.name + ": " + one.reason;
  return text;
}

inline std::string told(const Result<Removal>& removal) {
  if (!removal) return told(removal.error());
  return removal->id + (removal->removed ? " removed" : " absent");
}

inline std::string own_path(const Host& host) {
  const auto text = host.read("/proc/self/cgroup");
  return text ? parse::cgroup_v2_path(*text).value_or("nowhere") : "unreadable";
}

class CgroupContract : public testing::TestWithParam<WorldFactory> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    if (const std::string reason = world_->why_not(); !reason.empty()) GTEST_SKIP() << reason;
    name_ = world_->name();
    parent_ = "/" + name_ + "/containers";
    scope_ = name_ + "/scope";
  }

  Host& host() { return world_->host(); }
  Names words(const std::string& file) {
    const auto text = host().read(tree + "/" + file);
    return text ? parse::words(*text) : Names{};
  }
  Names offered() { return words("cgroup.controllers"); }
  // Of these the two that a kernel without cgroup v1 always has.
  Names threaded() {
    Names names;
    for (const std::string& controller : offered())
      if (controller == "cpu" || controller == "pids") names.push_back(controller);
    return names;
  }
  std::string type(const std::string& cgroup) {
    const auto text = host().read(tree + "/" + cgroup + "/cgroup.type");
    return text ? std::string{parse::trimmed(*text)} : errno_name(text.error().code);
  }
  void make(const std::string& cgroup) {
    ASSERT_TRUE(host().make_directory(tree + "/" + cgroup)) << cgroup;
  }
  void write(const std::string& file, const std::string& text) {
    const auto written = host().write(tree + "/" + file, text);
    ASSERT_TRUE(written) << to_string(written.error());
  }
  void delegate(const std::string& cgroup, const Names& controllers) {
    std::string text;
    for (const std::string& controller : controllers) text += "+" + controller + " ";
    write((cgroup.empty() ? "" : cgroup + "/") + "cgroup.subtree_control", text);
  }
  void delegate_all(const std::string& cgroup) { delegate(cgroup, offered()); }
  // A scope as systemd makes one: its parent delegates everything to it.
  void make_scope() { make_scope_offered(offered()); }
  void make_scope_offered(const Names& controllers) {
    make(name_);
    delegate_all("");
    delegate(name_, controllers);
    make(scope_);
  }
  Names children(const std::string& cgroup) {
    Names names;
    if (const auto entries = host().list(tree + "/" + cgroup))
      for (const DirectoryEntry& entry : *entries)
        if (entry.is_directory) names.push_back(entry.name);
    return names;
  }
  std::string run_in(const std::string& cgroup, View view,
                     const std::function<std::string(Host&)>& operation) {
    return world_->run_in(cgroup, view, operation);
  }
  // What a new surveyd in this cgroup says when asked for its container parent.
  std::string ensure_from(const std::string& cgroup, Placement placement = Placement::scope,
                          View view = View::machine) {
    return run_in(cgroup, view, [this, placement](Host& seen) {
      return told(CgroupTree{seen, {name_}}.ensure(placement));
    });
  }
  static ContainerId id(const char* text) { return ContainerId::parse(text).value(); }

  std::unique_ptr<World> world_;
  std::string name_;    // of the directory at the root
  std::string parent_;  // of the host placement
  std::string scope_;
};

/// On both worlds.
inline auto worlds() {
  return testing::Values(WorldFactory{"fake", make_fake_world},
                         WorldFactory{"kernel", make_kernel_world});
}

inline std::string name_of_world(const testing::TestParamInfo<WorldFactory>& instance) {
  return instance.param.name;
}

}  // namespace surveyd::test
