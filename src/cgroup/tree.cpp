#include <algorithm>
#include <cerrno>
#include <charconv>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

// How many processes or children an error names at most.
constexpr std::size_t most_named = 64;

using cgroup::child;
using cgroup::is;
using cgroup::self;

}  // namespace

const char* to_string(Placement placement) {
  switch (placement) {
    case Placement::automatic:
      return "auto";
    case Placement::host:
      return "host";
    case Placement::scope:
      break;
  }
  return "scope";
}

CgroupTree::CgroupTree(const Host& host, std::string cgroup_name)
    : host_(host), cgroup_name_(std::move(cgroup_name)) {}

CgroupTree::~CgroupTree() = default;

Result<void> CgroupTree::open() {
  if (tree_) return {};
  const auto hierarchy = cgroup::find_hierarchy(host_, host_.read("/proc/self/mountinfo"));
  if (hierarchy.version == cgroup::Version::v2) {
    auto tree = host_.enter(cgroup::mount_point);
    if (!tree) return tree.error();
    // Proved again on the descriptor that is kept: between the two anything can be mounted.
    const auto file_system = (*tree)->file_system(".");
    if (!file_system) return file_system.error();
    if (file_system->magic == cgroup2_magic) {
      tree_ = std::move(*tree);
      mount_root_ = hierarchy.mount_root;
      return {};
    }
  }
  Error error{.code = Fault::no_usable_cgroup2, .op = "open", .path = cgroup::mount_point};
  error.detail = hierarchy.explanation;
  return error;
}

Result<std::optional<std::string>> CgroupTree::current_cgroup_v2_path() const {
  const auto text = host_.read("/proc/self/cgroup");
  if (!text) return text.error();
  auto path = parse::cgroup_v2_path(*text);
  if (path && *path == "/") path.reset();
  return path;
}

std::string CgroupTree::shown(const std::string& relative) const {
  // A root like "/.." names the host's tree seen from a private namespace: paths begin there.
  const bool plain = mount_root_.empty() || mount_root_ == "/" || mount_root_.starts_with("/..");
  return (plain ? "" : mount_root_) + "/" + relative;
}

Result<Placement> CgroupTree::automatic_placement() const {
  const auto root = cgroup::inspect(host_, cgroup::mount_point);
  const bool host = root.is_real_root && root.accepts.has_value() &&
                    cgroup::inspect_namespaces(host_).all_initial();
  if (host) return Placement::host;
  // In the root cgroup there is no scope either: the host placement says what is wrong with it.
  const auto scope = own_scope();
  return scope && scope->path.empty() && root.is_real_root ? Placement::host : Placement::scope;
}

Result<CgroupTree::Parent> CgroupTree::parent_at(Placement placement) const {
  std::string path = cgroup_name_ + "/containers";
  if (placement == Placement::scope) {
    const auto scope = own_scope();
    if (!scope) return scope.error();
    path = child(scope->path, "containers");
  }
  const auto info = tree_->stat(path);
  if (!info && info.error().code != std::errc::no_such_file_or_directory) return info.error();
  return Parent{placement, path, info.has_value()};
}

Result<CgroupTree::Parent> CgroupTree::parent_in_use() {
  if (const auto opened = open(); !opened) return opened.error();
  if (ensured_) return parent_at(*ensured_);

  // After a restart: the one that is there, and if both are or none is, the one that would be
  // made. Living in our leaf means that the scope was divided before.
  const auto automatic = automatic_placement();
  if (!automatic) return automatic.error();
  const auto scope = own_scope();
  const Placement first = scope && scope->in_leaf ? Placement::scope : *automatic;
  auto preferred = parent_at(first);
  if (preferred && preferred->exists) return preferred;
  auto other = parent_at(first == Placement::host ? Placement::scope : Placement::host);
  if (other && other->exists) return other;
  return preferred;
}

std::vector<Process> CgroupTree::processes_of(const std::string& path) const {
  std::vector<Process> processes;
  const auto procs = tree_->read(child(path, "cgroup.procs"));
  if (!procs) return processes;
  for (const std::string& word : parse::words(*procs)) {
    // Enough to act on; a full list of a runaway cgroup would only bloat the answer.
    if (processes.size() == most_named) break;
    Process process;
    std::from_chars(word.data(), word.data() + word.size(), process.pid);
    if (const auto comm = host_.read("/proc/" + word + "/comm"))
      process.command = parse::trimmed(*comm);
    processes.push_back(std::move(process));
  }
  return processes;
}

Result<std::vector<std::string>> CgroupTree::children_of(const std::string& path) const {
  const auto entries = tree_->list(self(path));
  if (!entries) return entries.error();
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : *entries)
    if (entry.is_directory) names.push_back(entry.name);
  return names;
}

Error CgroupTree::busy_container(const std::string& path) const {
  Error error{.code = Fault::occupied, .op = "rmdir", .path = shown(path)};
  error.detail = "Nothing was killed or moved: end the container first, then repeat";
  std::vector<std::string> pending{path};
  while (!pending.empty()) {
    const std::string directory = pending.back();
    pending.pop_back();
    for (Process& process : processes_of(directory))
      if (error.processes.size() < most_named) error.processes.push_back(std::move(process));
    const auto children = children_of(directory);
    if (!children) continue;
    for (const std::string& name : *children) {
      if (error.children.size() == most_named) break;
      pending.push_back(child(directory, name));
      error.children.push_back(shown(pending.back()));
    }
  }
  return error;
}

Result<Removal> CgroupTree::remove_host_container_cgroup(const ContainerId& id) {
  const auto parent = parent_in_use();
  if (!parent) return parent.error();
  auto removal = remove_below(parent->path, id);
  if (!removal || removal->removed) return removal;
  // Containers of an earlier placement may still be there: to say that one is absent would be
  // wrong.
  const bool host = parent->placement == Placement::host;
  const auto other = parent_at(host ? Placement::scope : Placement::host);
  if (!other || !other->exists) return removal;
  return remove_below(other->path, id);
}

Result<Removal> CgroupTree::remove_below(const std::string& parent, const ContainerId& id) {
  const std::string path = child(parent, id.str());
  const Removal absent{id.str(), false};

  // Looked at first: on a read-only mount rmdir of what is not there is EROFS.
  const auto info = tree_->stat(path);
  if (!info) {
    if (is(info.error(), ENOENT)) return absent;
    return info.error();
  }
  const auto removed = tree_->remove_directory(path);
  if (removed) return Removal{id.str(), true};
  if (is(removed.error(), ENOENT)) return absent;
  // The kernel says EBUSY for live processes and for child cgroups alike.
  if (!is(removed.error(), EBUSY)) return removed.error();
  return busy_container(path);
}

Result<ContainerParent> CgroupTree::inspect_container_parent() {
  const auto parent = parent_in_use();
  if (!parent) return parent.error();
  ContainerParent report{shown(parent->path), parent->placement, parent->exists, {}, {}};
  if (!parent->exists) return report;
  const auto offered = tree_->read(child(parent->path, "cgroup.controllers"));
  if (!offered) return offered.error();
  const auto delegated = tree_->read(child(parent->path, "cgroup.subtree_control"));
  if (!delegated) return delegated.error();
  report.offered = parse::words(*offered);
  report.delegated = parse::words(*delegated);
  return report;
}

Result<ContainerList> CgroupTree::list_containers() {
  const auto parent = parent_in_use();
  if (!parent) return parent.error();
  ContainerList list{shown(parent->path), parent->placement, parent->exists, {}};
  if (!list.exists) return list;

  const auto names = children_of(parent->path);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    const std::string path = child(parent->path, name);
    const auto events = tree_->read(child(path, "cgroup.events"));
    if (!events) continue;  // removed since it was listed
    ContainerCgroup container;
    container.id = name;
    container.populated = events->find("populated 1") != std::string::npos;
    // A threaded cgroup answers EOPNOTSUPP: its processes belong to the domain above it.
    if (const auto procs = tree_->read(child(path, "cgroup.procs")))
      container.processes = parse::words(*procs).size();
    if (const auto nested = children_of(path)) container.nested = nested->size();
    if (const auto controllers = tree_->read(child(path, "cgroup.controllers")))
      container.controllers = parse::words(*controllers);
    list.containers.push_back(std::move(container));
  }
  return list;
}

Result<bool> CgroupTree::is_below_container_parent(std::uint64_t cgroup_id) {
  if (const auto opened = open(); !opened) {
    // No cgroup v2 to put containers into, so no container to come from.
    if (opened.error().code == Fault::no_usable_cgroup2) return false;
    return opened.error();
  }
  // Both placements count, whichever is in use: containers of an earlier one may still run.
  std::vector<std::string> parents;
  for (const Placement placement : {Placement::host, Placement::scope})
    if (const auto parent = parent_at(placement); parent && parent->exists)
      parents.push_back(parent->path);
  if (parents.empty()) return false;
  const auto is_inside = [&parents](const std::string& path) {
    return std::any_of(parents.begin(), parents.end(), [&path](const std::string& parent) {
      return path == parent || path.starts_with(parent + "/");
    });
  };
  const auto found = tree_->find_directory(cgroup_id);
  if (found) return is_inside(*found);
  if (found.error().code == std::errc::cross_device_link) return false;
  if (cgroup::is(found.error(), ESTALE)) return found.error();

  // Without CAP_DAC_READ_SEARCH: look through the whole tree, the parents first. What is not found
  // has been removed, perhaps from below a parent, or cannot be seen from here.
  std::vector<std::string> pending{""};
  pending.insert(pending.end(), parents.begin(), parents.end());
  while (!pending.empty()) {
    const std::string directory = pending.back();
    pending.pop_back();
    const auto info = tree_->stat(self(directory));
    if (!info) continue;  // removed meanwhile
    if (info->inode == cgroup_id) return is_inside(directory);
    const auto children = children_of(directory);
    if (!children) continue;
    for (const std::string& name : *children) {
      const std::string path = child(directory, name);
      if (std::find(parents.begin(), parents.end(), path) == parents.end()) pending.push_back(path);
    }
  }
  return os_error(ESTALE, "find", cgroup::mount_point);
}

}  // namespace surveyd
