#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
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
              ///< ones (or a base is set), else scope
  host,       ///< `<base>/<name>/containers`, at the real root unless a base is set; the daemon
              ///< stays where it is, unless that is the base
  scope,      ///< `<scope>/containers`, with the daemon in the sibling `<scope>/init`
};

[[nodiscard]] const char* to_string(Placement placement);

/// Whom a scope that is divided has to let go of: only a cgroup without processes of its own can
/// delegate controllers.
enum class Evacuate {
  self,  ///< the daemon and its helper processes move into the leaf; others are in the way
  all,   ///< every process of the scope moves there
};

/// Where the operator wants the container parent. Copies share what became of it, so that every
/// tree of a process looks at the same place.
struct ContainerPlan {
  std::string name = "zlayer";  ///< of the directory in the base
  std::string base{};           ///< absolute cgroup path; empty: the root of what is mounted

  struct Progress {
    /// The placement that was ensured last; `automatic` before the first time.
    std::atomic<Placement> ensured = Placement::automatic;
    /// Of the leaf that this process moved into; 0 before.
    std::atomic<std::uint64_t> leaf_inode = 0;
  };
  std::shared_ptr<Progress> progress = std::make_shared<Progress>();
};

/// What became of one controller at the container parent, read back from the kernel.
struct ControllerOutcome {
  std::string name;
  bool enabled = false;
  /// Why not: `not_offered_by_parent`, `not_permitted`, `read_only`, `busy`, `rejected` (by the
  /// controller itself), `not_read_back`.
  std::string reason{};
  std::error_code error{};  ///< the errno of the refusal
  std::string path{};       ///< the file or cgroup that refused
};

struct EnsureReport {
  std::string container_parent;
  Placement placement = Placement::host;
  std::vector<std::string> created;  ///< directories that this very call made, outermost first
  std::vector<Process> migrated;     ///< processes that this very call moved into the leaf
  std::vector<ControllerOutcome> controllers;
  bool changed = false;  ///< something was made, moved or enabled
};

struct Removal {
  std::string id;
  bool removed = false;  ///< false: it was not there
};

/// One step of a removal by force.
struct RemovalStep {
  std::optional<Removal> done;    ///< nothing: its processes have been killed but are not gone yet
  std::uint64_t inode = 0;        ///< of the cgroup: a later one of the same name is another one
  std::shared_ptr<Watch> events;  ///< `cgroup.events`, which tells when they are gone
  bool cut_short = false;         ///< there is more to remove than one step may take time for
};

struct ContainerCgroup {
  std::string id;
  bool populated = false;     ///< `cgroup.events`: a live process somewhere below
  std::size_t processes = 0;  ///< directly in it
  std::size_t nested = 0;     ///< child cgroups directly below it
  std::vector<std::string> controllers;
  /// At the latest: the kernel keeps no such time, so the oldest one that was seen.
  std::chrono::system_clock::time_point created_at{};
  /// Nothing ran in it at any look since; nothing when it is populated.
  std::optional<std::chrono::system_clock::time_point> empty_since;
  bool orphaned = false;  ///< empty for longer than `orphaned_after`
};

inline constexpr std::chrono::seconds orphaned_after{60};

struct ContainerList {
  std::string container_parent;
  Placement placement = Placement::host;
  bool exists = false;
  std::vector<std::string> offered;  ///< `cgroup.controllers` of the base: what could be delegated
  std::vector<std::string> delegated;  ///< `cgroup.subtree_control` of the container parent
  std::vector<ContainerCgroup> containers;
};

/// The container parent in use, as it is now.
struct ContainerParent {
  std::string path;
  Placement placement = Placement::host;
  bool exists = false;
  std::vector<std::string> offered;  ///< `cgroup.controllers` of the base: what could be delegated
  std::vector<std::string> delegated;  ///< its `cgroup.subtree_control`
  /// Every level from the base down to it, as a directory on this machine.
  std::vector<std::string> levels;
};

/// The cgroup v2 tree at /sys/fs/cgroup, and the only thing that changes it. Not thread-safe: one
/// operation at a time, each sees what the other left. Opened at first use and then held, so that
/// no later mount can come in between; every operation fails with `Fault::no_usable_cgroup2` where
/// there is no such tree, and nothing is made then.
class CgroupTree {
 public:
  /// `host` outlives the tree.
  CgroupTree(const Host& host, ContainerPlan plan);
  ~CgroupTree();

  /// `cgroup_parent`: the own cgroup v2 path, or nothing at the root and without one.
  [[nodiscard]] Result<std::optional<std::string>> current_cgroup_v2_path() const;

  /// Makes the container parent with every offered controller delegated to it, and reads it back.
  /// Idempotent. On failure the directories made by this call are removed again; controllers that
  /// it enabled on the way stay, as somebody else may rely on them by now, and the error says so.
  /// `Fault::occupied` names the processes that live where controllers would be enabled.
  [[nodiscard]] Result<EnsureReport> ensure(Placement placement,
                                            Evacuate evacuate = Evacuate::self);

  /// Removes an empty cgroup of the container parent, of either placement. Nothing is killed or
  /// moved: `Fault::occupied` names the processes and child cgroups in the way.
  [[nodiscard]] Result<Removal> remove_container(const ContainerId& id);

  /// The first step of ending all that lives in a container and removing its cgroup with all below.
  /// Never waits: unless it is `done`, or fails, `continue_removal` has to follow.
  [[nodiscard]] Result<RemovalStep> remove_container_by_force(const ContainerId& id);

  /// The next step, at best when `events` says so, for the cgroup that the first one found.
  [[nodiscard]] Result<RemovalStep> continue_removal(const ContainerId& id, std::uint64_t inode);

  /// What keeps a removal by force from ending: `Fault::timed_out`, naming the processes that are
  /// left, or those of them that cannot be killed (state D) when there are any.
  [[nodiscard]] Error explain_remnant(const ContainerId& id, std::uint64_t inode) const;

  [[nodiscard]] Result<ContainerParent> inspect_container_parent();

  /// Also takes note of who is empty: `empty_since` counts from the first look.
  [[nodiscard]] Result<ContainerList> list_containers() { return look_at_containers(true); }

  /// The same without `processes`, `nested` and `controllers`, which are most of the work.
  [[nodiscard]] Result<ContainerList> survey_containers() { return look_at_containers(false); }

  /// Whether the cgroup with this id (`INET_DIAG_CGROUP_ID`, its inode) is a container parent, of
  /// either placement, or below one. False where none exists; ESTALE when the cgroup is gone.
  [[nodiscard]] Result<bool> is_below_container_parent(std::uint64_t cgroup_id);

 private:
  struct Scope;
  struct Site;
  struct Parent;
  struct Doomed;
  struct Evacuation;
  struct Written;
  struct Observation;
  class Rollback;

  Result<void> open();
  Result<Placement> automatic_placement() const;
  Result<Scope> own_scope() const;
  Result<Site> site_of(Placement placement) const;
  Result<Parent> parent_at(Placement placement) const;
  Result<Parent> parent_in_use();
  std::string shown(const std::string& relative) const;
  std::string on_machine(const std::string& relative) const;

  Result<EnsureReport> ensure_at(const Site& site, Evacuate evacuate);
  Result<void> check_root(const Site& site) const;
  Result<bool> is_real_root(const std::string& level) const;
  Result<EnsureReport> try_to_ensure(const std::vector<std::string>& levels, Rollback& made);
  Result<EnsureReport> ensure_levels(const std::vector<std::string>& levels, Rollback& made);
  Result<EnsureReport> conclude(Result<EnsureReport> report, Rollback& made) const;
  Result<void> make_level(const std::string& path, Rollback& made);
  Result<void> delegate(const std::string& level, const std::vector<std::string>& wanted,
                        Rollback& made, std::vector<ControllerOutcome>& outcomes);
  std::vector<std::string> delegate_one_by_one(const std::string& control,
                                               const std::vector<std::string>& missing,
                                               std::vector<ControllerOutcome>& outcomes);
  Result<Written> enable(const std::string& level, const std::vector<std::string>& missing,
                         bool is_real_root);
  Result<void> keep_domain(const std::string& level, const std::vector<std::string>& taken,
                           Rollback& made);
  Error no_internal_processes(const std::string& level, const std::vector<std::string>& missing,
                              std::vector<Process> residents) const;

  Result<EnsureReport> divide_own(const Site& site, Evacuate whom);
  Result<bool> is_our_leaf(const std::string& path) const;
  Result<bool> enter_leaf(const std::string& leaf);
  Result<EnsureReport> evacuate_and_ensure(const Site& site, const std::string& leaf, Evacuate whom,
                                           Evacuation& evacuation);
  Result<void> evacuate(const std::string& scope, const std::string& leaf, Evacuation& evacuation);
  bool evacuate_own(const std::vector<Process>& residents, const std::string& scope,
                    const std::string& leaf, Evacuation& evacuation);
  bool descends_from_us(int pid) const;
  Result<bool> move(const Process& process, const std::string& scope, const std::string& leaf,
                    Evacuation& evacuation);

  Result<std::vector<std::string>> parents_of_containers();
  Result<Removal> remove_below(const std::string& parent, const ContainerId& id);
  Result<std::optional<Doomed>> find_doomed(const ContainerId& id);
  Result<RemovalStep> step(const ContainerId& id, std::uint64_t inode);
  Result<bool> end_and_remove(Doomed& doomed);
  Result<bool> try_to_remove(Doomed& doomed);
  Result<bool> is_there(const Doomed& doomed) const;
  Result<bool> remove_all_below(Doomed& doomed, std::chrono::steady_clock::time_point until);
  Result<void> kill_all(Doomed& doomed);
  Result<void> kill_each(Doomed& doomed);
  Result<std::string> cgroup_of(const std::string& process) const;
  Result<bool> lives_in(const std::string& process, const std::string& path) const;
  Result<bool> lives_here(const Doomed& doomed) const;

  Process describe(int pid) const;
  Result<std::vector<Process>> processes_of(const std::string& path) const;
  void name_occupants(const std::string& path, Error& error) const;
  Result<std::vector<std::string>> children_of(const std::string& path) const;
  Result<ContainerList> look_at_containers(bool in_full);
  void add_details(const std::string& path, ContainerCgroup& container) const;
  bool ran_meanwhile(const std::string& path, Observation& observation) const;

  const Host& host_;
  ContainerPlan plan_;
  std::unique_ptr<Host> tree_;  ///< confined to the mount point
  std::string mount_root_;
  std::unique_ptr<Parent> known_parent_;       ///< found once, true for as long as it is there
  std::map<std::uint64_t, Doomed> doomed_;     ///< by inode
  std::map<std::uint64_t, Observation> seen_;  ///< of containers, by inode
};

}  // namespace surveyd
