#include <algorithm>
#include <cerrno>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using cgroup::child;
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

CgroupTree::CgroupTree(const Host& host, ContainerPlan plan)
    : host_(host), plan_(std::move(plan)) {}

CgroupTree::~CgroupTree() = default;

Result<void> CgroupTree::open() {
  // Without /proc the tree can be used, but not our own place in it be found: asked again.
  if (tree_ && !mount_root_.empty()) return {};
  const auto mountinfo = host_.read("/proc/self/mountinfo");
  if (!mountinfo && !cgroup::is_gone(mountinfo.error())) return mountinfo.error();
  const auto hierarchy = cgroup::find_hierarchy(host_, mountinfo);
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
  // Not known is not "none", but where there is no such directory there is no tree either.
  if (hierarchy.doubt && !cgroup::is_gone(*hierarchy.doubt)) error = *hierarchy.doubt;
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

// Of a process, "self" or a number; relative to the tree.
Result<std::string> CgroupTree::cgroup_of(const std::string& process) const {
  const std::string path = "/proc/" + process + "/cgroup";
  const auto text = host_.read(path);
  if (!text) return text.error();
  const auto own = parse::cgroup_v2_path(*text);
  if (own) return cgroup::relative_to_mount(*own, mount_root_);
  Error error{.code = Fault::no_usable_cgroup2, .op = "read", .path = path};
  error.detail = "this process has no cgroup v2 path";
  return error;
}

std::string CgroupTree::shown(const std::string& relative) const {
  // A root like "/.." names the host's tree seen from a private namespace: paths begin there.
  const bool plain = mount_root_.empty() || mount_root_ == "/" || mount_root_.starts_with("/..");
  return (plain ? "" : mount_root_) + "/" + relative;
}

std::string CgroupTree::on_machine(const std::string& relative) const {
  return child(cgroup::mount_point, relative);
}

Result<Placement> CgroupTree::automatic_placement() const {
  if (!plan_.base.empty()) return Placement::host;
  const auto real_root = is_real_root("");
  if (!real_root) return real_root.error();
  const auto root = cgroup::inspect(host_, cgroup::mount_point);
  if (root.doubt) return *root.doubt;
  const auto namespaces = cgroup::inspect_namespaces(host_);
  for (const auto& [_, error] : namespaces.unreadable)
    if (is_inconclusive(error.code)) return error;
  const bool host = *real_root && root.accepts.has_value() && namespaces.all_initial();
  if (host) return Placement::host;
  // In the root cgroup there is no scope either: the host placement says what is wrong with it.
  const auto scope = own_scope();
  return scope && scope->path.empty() && *real_root ? Placement::host : Placement::scope;
}

std::vector<std::string> CgroupTree::Site::levels() const {
  std::vector<std::string> levels{base};
  for (const std::string& name : below) levels.push_back(child(levels.back(), name));
  return levels;
}

Result<CgroupTree::Site> CgroupTree::site_of(Placement placement) const {
  if (placement == Placement::host && plan_.base.empty())
    return Site{placement, "", {plan_.name, "containers"}};
  const auto scope = own_scope();
  if (placement == Placement::host) {
    const auto base = cgroup::relative_to_mount(plan_.base, mount_root_);
    if (!base) return base.error();
    const bool is_ours = scope && scope->path == *base;
    return Site{placement, *base, {plan_.name, "containers"}, is_ours, is_ours && scope->in_leaf};
  }
  if (!scope) return scope.error();
  return Site{placement, scope->path, {"containers"}, true, scope->in_leaf};
}

Result<CgroupTree::Parent> CgroupTree::parent_at(Placement placement) const {
  const auto site = site_of(placement);
  if (!site) return site.error();
  Parent parent{placement, site->base, site->levels().back(), false};
  const auto info = tree_->stat(parent.path);
  if (!info && info.error().code != std::errc::no_such_file_or_directory) return info.error();
  parent.exists = info.has_value();
  return parent;
}

Result<CgroupTree::Parent> CgroupTree::parent_in_use() {
  if (const auto opened = open(); !opened) return opened.error();
  const Placement ensured = plan_.progress->ensured.load();
  const bool is_current =
      known_parent_ && (ensured == Placement::automatic || ensured == known_parent_->placement);
  if (is_current && tree_->stat(known_parent_->path)) return *known_parent_;
  known_parent_.reset();

  const auto remember = [this](const Result<Parent>& parent) {
    if (parent && parent->exists) known_parent_ = std::make_unique<Parent>(*parent);
    return parent;
  };
  if (ensured != Placement::automatic) return remember(parent_at(ensured));
  // After a restart: the one that is there, and if both are or none is, the one that would be
  // made. Living in our leaf means that the scope was divided before.
  const auto automatic = automatic_placement();
  if (!automatic) return automatic.error();
  const auto scope = own_scope();
  const Placement first = scope && scope->in_leaf ? Placement::scope : *automatic;
  auto preferred = parent_at(first);
  if (preferred && preferred->exists) return remember(preferred);
  auto other = parent_at(first == Placement::host ? Placement::scope : Placement::host);
  if (other && other->exists) return remember(other);
  return preferred;
}

Result<ContainerParent> CgroupTree::inspect_container_parent() {
  const auto parent = parent_in_use();
  if (!parent) return parent.error();
  ContainerParent report;
  report.path = shown(parent->path);
  report.placement = parent->placement;
  report.exists = parent->exists;
  for (std::string level = parent->path;; level = cgroup::parent_of(level)) {
    report.levels.insert(report.levels.begin(), on_machine(level));
    if (level == parent->base || level.empty()) break;
  }
  if (!parent->exists) return report;
  const auto offered = tree_->read(child(parent->base, "cgroup.controllers"));
  if (!offered) return offered.error();
  const auto delegated = tree_->read(child(parent->path, "cgroup.subtree_control"));
  if (!delegated) return delegated.error();
  report.offered = parse::words(*offered);
  report.delegated = parse::words(*delegated);
  return report;
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
