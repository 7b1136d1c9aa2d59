#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <surveyd/container_id.hpp>
#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd {

/// Where the container parent goes.
enum class Placement {
  automatic,  ///< host where the real root accepts directories and our namespaces are the initial
              ///< ones, else scope
  host,       ///< `/<cgroup name>/containers` at the real root; the daemon stays where it is
  scope,      ///< `<scope>/containers`, with the daemon in the sibling `<scope>/init`
};

[[nodiscard]] const char* to_string(Placement placement);

/// What became of one controller at the container parent, read back from the kernel.
struct ControllerOutcome {
  std::string name;
  bool enabled = false;
  std::string reason;     ///< why not: `not_offered_by_parent`, `refused`, `not_read_back`
  std::error_code error;  ///< the errno of the refusal
  std::string path;       ///< the file or cgroup that refused
};

struct EnsureReport {
  std::string container_parent;
  Placement placement = Placement::host;
  std::vector<std::string> created;  ///< directories that this very call made, outermost first
  std::vector<Process> migrated;     ///< processes that this very call moved into the leaf
  std::vector<ControllerOutcome> controllers;
};

struct Removal {
  std::string id;
  bool removed = false;  ///< false: it was not there
};

struct ContainerCgroup {
  std::string id;
  bool populated = false;     ///< `cgroup.events`: a live process somewhere below
  std::size_t processes = 0;  ///< directly in it
  std::size_t nested = 0;     ///< child cgroups directly below it
  std::vector<std::string> controllers;
};

struct ContainerList {
  std::string container_parent;
  Placement placement = Placement::host;
  bool exists = false;
  std::vector<ContainerCgroup> containers;
};

/// The container parent in use, as it is now.
struct ContainerParent {
  std::string path;
  Placement placement = Placement::host;
  bool exists = false;
  std::vector<std::string> offered;    ///< its `cgroup.controllers`
  std::vector<std::string> delegated;  ///< its `cgroup.subtree_control`
};

/// The cgroup v2 tree at /sys/fs/cgroup, and the only thing that changes it. Not thread-safe: one
/// operation at a time, each sees what the other left. Opened at first use and then held, so that
/// no later mount can come in between; every operation fails with `Fault::no_usable_cgroup2` where
/// there is no such tree, and nothing is made then.
class CgroupTree {
 public:
  /// `host` outlives the tree. `cgroup_name` is the directory at the root, "zlayer" by default.
  CgroupTree(const Host& host, std::string cgroup_name);
  ~CgroupTree();

  /// `cgroup_parent`: the own cgroup v2 path, or nothing at the root and without one.
  [[nodiscard]] Result<std::optional<std::string>> current_cgroup_v2_path() const;

  /// Makes the container parent with every offered controller delegated to it, and reads it back.
  /// Idempotent. On failure the directories made by this call are removed again.
  [[nodiscard]] Result<EnsureReport> ensure(Placement placement);

  /// `Placement::host`. Fails with `Fault::no_usable_cgroup2` away from the real root.
  [[nodiscard]] Result<EnsureReport> ensure_host_container_parent();

  /// `Placement::scope`. Fails with `Fault::occupied` when other processes live in the scope.
  [[nodiscard]] Result<EnsureReport> ensure_daemon_leaf_and_container_parent();

  /// Removes an empty cgroup of the container parent, of either placement. Nothing is killed or
  /// moved: `Fault::occupied` names the processes and child cgroups in the way.
  [[nodiscard]] Result<Removal> remove_host_container_cgroup(const ContainerId& id);

  [[nodiscard]] Result<ContainerParent> inspect_container_parent();

  [[nodiscard]] Result<ContainerList> list_containers();

  /// Whether the cgroup with this id (`INET_DIAG_CGROUP_ID`, its inode) is a container parent, of
  /// either placement, or below one. False where none exists; ESTALE when the cgroup is gone.
  [[nodiscard]] Result<bool> is_below_container_parent(std::uint64_t cgroup_id);

 private:
  struct Parent;
  struct Scope;
  class Rollback;

  Result<void> open();
  Result<Placement> automatic_placement() const;
  Result<Scope> own_scope() const;
  Result<Removal> remove_below(const std::string& parent, const ContainerId& id);
  Result<Parent> parent_at(Placement placement) const;
  Result<Parent> parent_in_use();
  Result<EnsureReport> ensure_levels(const std::vector<std::string>& levels);
  Result<EnsureReport> ensure_levels_once(const std::vector<std::string>& levels);
  Result<void> make_level(const std::string& path, Rollback& made);
  Result<void> delegate(const std::string& level, const std::vector<std::string>& wanted,
                        std::vector<ControllerOutcome>& outcomes);
  void delegate_one_by_one(const std::string& control, const std::vector<std::string>& missing,
                           std::vector<ControllerOutcome>& outcomes);
  Error no_internal_processes(const std::string& level, const std::vector<std::string>& missing,
                              std::vector<Process> residents) const;
  bool is_our_leaf(const std::string& path) const;
  Result<void> enter_leaf(const std::string& leaf, Rollback& made);
  std::vector<Process> processes_of(const std::string& path) const;
  Result<std::vector<std::string>> children_of(const std::string& path) const;
  Error busy_container(const std::string& path) const;
  std::string shown(const std::string& relative) const;

  const Host& host_;
  std::string cgroup_name_;
  std::unique_ptr<Host> tree_;  ///< confined to the mount point
  std::string mount_root_;
  std::optional<std::uint64_t> leaf_inode_;  ///< of the leaf that this process moved into
  std::optional<Placement> ensured_;         ///< the last placement that succeeded
};

}  // namespace surveyd
