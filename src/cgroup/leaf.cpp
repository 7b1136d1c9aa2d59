#include <algorithm>
#include <cerrno>

#include <unistd.h>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd {

using cgroup::child;
using cgroup::is;

Result<EnsureReport> CgroupTree::ensure_daemon_leaf_and_container_parent() {
  if (const auto opened = open(); !opened) return opened.error();
  const auto scope = own_scope();
  if (!scope) return scope.error();
  if (scope->path.empty() && !tree_->stat("cgroup.type")) {
    Error error{.code = Fault::no_usable_cgroup2, .op = "stat", .path = shown("cgroup.type")};
    error.detail =
        "surveyd lives in the root cgroup and has no scope to divide; ask for placement "
        "\"host\"";
    return error;
  }

  const std::string leaf = child(scope->path, "init");
  std::vector<std::string> created;
  if (!scope->in_leaf) {
    Rollback made{*tree_};
    if (const auto entered = enter_leaf(leaf, made); !entered) return entered.error();
    // In use from here on: it stays, whatever becomes of the rest.
    for (const std::string& path : made.keep()) created.push_back(shown(path));
  }

  auto report = ensure_levels({scope->path, child(scope->path, "containers")});
  if (!report) {
    Error error = report.error();
    if (!scope->in_leaf) cgroup::add_detail(error, "surveyd itself stays in " + shown(leaf));
    return error;
  }
  created.insert(created.end(), report->created.begin(), report->created.end());
  report->created = std::move(created);
  report->placement = Placement::scope;
  if (!scope->in_leaf) report->migrated.push_back({::getpid(), "surveyd"});
  ensured_ = Placement::scope;
  return report;
}

Result<CgroupTree::Scope> CgroupTree::own_scope() const {
  const auto text = host_.read("/proc/self/cgroup");
  if (!text) return text.error();
  const auto own = parse::cgroup_v2_path(*text);
  if (!own) {
    Error error{.code = Fault::no_usable_cgroup2, .op = "read", .path = "/proc/self/cgroup"};
    error.detail = "this process has no cgroup v2 path";
    return error;
  }
  auto path = cgroup::relative_to_mount(*own, mount_root_);
  if (!path) return path.error();
  if (!is_our_leaf(*path)) return Scope{*path, false};
  const auto slash = path->rfind('/');
  return Scope{slash == std::string::npos ? "" : path->substr(0, slash), true};
}

bool CgroupTree::is_our_leaf(const std::string& path) const {
  // The root of what we see has no scope above it, whatever a mark on it says.
  if (path.empty()) return false;
  const auto mark = tree_->attribute(path, leaf_mark);
  if (mark) return *mark == marked;
  const auto info = tree_->stat(path);
  return info && leaf_inode_ && info->inode == *leaf_inode_;
}

Result<void> CgroupTree::enter_leaf(const std::string& leaf, Rollback& made) {
  if (auto level = make_level(leaf, made); !level) return level;
  // Marked first: killed right after the move, the next start still knows where it is.
  const auto set = tree_->set_attribute(leaf, leaf_mark, marked);
  // "0" is the writer itself: no pid that could be reused.
  if (const auto moved = tree_->write(child(leaf, "cgroup.procs"), "0"); !moved) {
    if (set) (void)tree_->set_attribute(leaf, leaf_mark, unmarked);
    Error error = moved.error();
    if (is(error, EBUSY)) error.detail = "the leaf has controllers enabled for children";
    if (is(error, EOPNOTSUPP)) error.detail = "the leaf is below a threaded cgroup";
    if (is(error, EACCES))
      error.detail = "no right to move a process out of the cgroup that surveyd is in";
    return error;
  }
  if (const auto info = tree_->stat(leaf)) leaf_inode_ = info->inode;
  const auto scope = own_scope();
  if (scope && scope->in_leaf) return {};
  return Error{.code = Fault::not_read_back, .op = "write 0", .path = shown(leaf)};
}

}  // namespace surveyd
