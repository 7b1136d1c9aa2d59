#pragma once

#include <optional>
#include <string>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/host.hpp>

#include "cgroup/hierarchy.hpp"
#include "probes/surroundings.hpp"

namespace surveyd {

/// The process whose surroundings are surveyed (this one), and what has been read about it so far:
/// several findings follow from one file, and each is read once a survey. For one thread.
class Subject {
 public:
  Subject(const Host& host, ContainerPlan plan) : host_(host), plan_(std::move(plan)) {}

  [[nodiscard]] const Host& host() const { return host_; }
  [[nodiscard]] const ContainerPlan& plan() const { return plan_; }

  /// The storage path that the running probe is asked about; empty for one that is not about any.
  [[nodiscard]] const std::string& storage() const { return storage_; }
  void ask_about(const std::string& storage) { storage_ = storage; }

  /// The text of `/proc/self/cgroup`.
  [[nodiscard]] const Result<std::string>& cgroup_file();
  [[nodiscard]] const cgroup::Hierarchy& hierarchy();
  [[nodiscard]] const cgroup::Namespaces& namespaces();
  /// What it runs in.
  [[nodiscard]] const Surroundings& surroundings();
  /// The names of os-release(5), the closest first; for remedies. None when it cannot be read.
  [[nodiscard]] const std::vector<std::string>& distributions();
  /// The text of `/proc/self/mountinfo`.
  [[nodiscard]] const Result<std::string>& mountinfo();
  /// The root of the mount at /sys/fs/cgroup.
  [[nodiscard]] const cgroup::Place& mount_root();
  /// Where the containers' cgroups would be, whether or not it has been made.
  [[nodiscard]] const Result<ContainerParent>& container_parent();
  /// The text of `/proc/self/uid_map`.
  [[nodiscard]] const Result<std::string>& uid_map();
  /// Whether CAP_SYS_ADMIN is effective.
  [[nodiscard]] const Result<bool>& is_admin();
  /// The text of `/proc/filesystems`.
  [[nodiscard]] const Result<std::string>& file_systems();

  /// The modules that are built into the running kernel, by its `modules.builtin`, and those that
  /// it can load, by its `modules.dep`. Large files: read when the first probe needs them.
  [[nodiscard]] const Result<std::vector<std::string>>& built_in_modules();
  [[nodiscard]] const Result<std::vector<std::string>>& loadable_modules();
  /// Where they are from: `/lib/modules/<release>/<name>`.
  [[nodiscard]] std::string module_file(const char* name) const;

 private:
  const Host& host_;
  ContainerPlan plan_;
  std::string storage_;
  std::optional<Result<std::string>> cgroup_file_;
  std::optional<cgroup::Hierarchy> hierarchy_;
  std::optional<cgroup::Namespaces> namespaces_;
  std::optional<cgroup::Place> mount_root_;
  std::optional<Result<ContainerParent>> container_parent_;
  std::optional<Result<std::string>> uid_map_;
  std::optional<Result<bool>> is_admin_;
  std::optional<Result<std::string>> file_systems_;
  std::optional<Surroundings> surroundings_;
  std::optional<std::vector<std::string>> distributions_;
  std::optional<Result<std::string>> mountinfo_;
  std::optional<Result<std::vector<std::string>>> built_in_modules_;
  std::optional<Result<std::vector<std::string>>> loadable_modules_;
};

}  // namespace surveyd
