#include <algorithm>
#include <cerrno>
#include <charconv>

#include <unistd.h>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/proc_stat.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using cgroup::child;
using cgroup::is;

constexpr std::chrono::seconds longest_evacuation{10};

/// Why a process could not be written into the leaf's `cgroup.procs`.
const char* why_not_moved(const Error& error) {
  switch (error.code.value()) {
    case EBUSY:
      return "the leaf has controllers enabled for children";
    case EOPNOTSUPP:
      return "the leaf is threaded, or below a threaded cgroup";
    case EACCES:
    case EPERM:
      return "no right to move processes out of the cgroup that they are in";
    case ENOENT:
      return "the leaf lies beyond the boundary of a delegation (nsdelegate)";
    case EINVAL:
      return "a kernel thread, or a fork that does not end";
    default:
      return "the kernel refuses";
  }
}

Error explain_move(Error error) {
  error.detail = why_not_moved(error);
  return error;
}

}  // namespace

Result<EnsureReport> CgroupTree::divide_own(const Site& site, Evacuate whom) {
  const std::string leaf = child(site.base, "init");
  std::vector<std::string> created;
  Evacuation evacuation;
  evacuation.until = host_.now() + longest_evacuation;
  if (!site.in_leaf) {
    const auto made = enter_leaf(leaf);
    if (!made) return made.error();
    if (*made) created.push_back(shown(leaf));
    evacuation.moved.push_back(describe(::getpid()));
  }

  auto report = evacuate_and_ensure(site, leaf, whom, evacuation);
  if (!report) {
    Error error = report.error();
    for (const std::string& sentence : evacuation.stayed) cgroup::add_detail(error, sentence);
    if (error.code == Fault::occupied && whom == Evacuate::self)
      cgroup::add_detail(error, R"({"evacuate": "all"} moves them into )" + shown(leaf));
    if (!evacuation.moved.empty())
      cgroup::add_detail(error, "what was moved stays in " + shown(leaf));
    error.migrated = std::move(evacuation.moved);
    return error;
  }
  created.insert(created.end(), report->created.begin(), report->created.end());
  report->created = std::move(created);
  report->migrated = std::move(evacuation.moved);
  report->changed = report->changed || !report->created.empty() || !report->migrated.empty();
  return report;
}

// Again and again while somebody comes into the scope between the two, but nobody is tried twice.
Result<EnsureReport> CgroupTree::evacuate_and_ensure(const Site& site, const std::string& leaf,
                                                     Evacuate whom, Evacuation& evacuation) {
  Rollback made{*tree_};
  while (true) {
    const std::size_t tried = evacuation.tried.size();
    if (whom == Evacuate::all)
      if (const auto moved = evacuate(site.base, leaf, evacuation); !moved)
        return conclude(moved.error(), made);
    auto report = try_to_ensure(site.levels(), made);
    const bool newcomers = !report && report.error().code == Fault::occupied &&
                           whom == Evacuate::all && evacuation.tried.size() > tried;
    if (!newcomers) return conclude(std::move(report), made);
  }
}

// Until a pass finds nobody new: processes fork while they are moved.
Result<void> CgroupTree::evacuate(const std::string& scope, const std::string& leaf,
                                  Evacuation& evacuation) {
  for (bool found = true; found;) {
    found = false;
    const auto procs = tree_->read(child(scope, "cgroup.procs"));
    if (!procs) return procs.error();
    const std::vector<std::string> words = parse::words(*procs);
    if (std::find(words.begin(), words.end(), "0") != words.end()) {
      // Before anybody is moved: it would be for nothing.
      Error error{.code = Fault::occupied, .op = "read", .path = shown(scope)};
      error.processes.emplace_back();
      error.detail =
          "processes of another pid namespace (pid 0) live here, which cannot be moved from this "
          "one";
      return error;
    }
    for (const std::string& word : words) {
      int pid = 0;
      std::from_chars(word.data(), word.data() + word.size(), pid);
      if (!evacuation.tried.insert(pid).second) continue;
      found = true;
      if (host_.now() > evacuation.until) {
        Error error{.code = Fault::timed_out, .op = "evacuate", .path = shown(scope)};
        error.detail = "processes keep coming into this cgroup";
        return error;
      }
      const Process process = describe(pid);
      const auto moved = move(pid, leaf);
      if (moved) {
        // The kernel takes the write for one that is exiting, too, and leaves it where it is.
        if (!process.exiting) evacuation.moved.push_back(process);
      } else if (is(moved.error(), EBUSY) || is(moved.error(), EOPNOTSUPP)) {
        return explain_move(moved.error());  // nobody else will fare better
      } else if (!is(moved.error(), ESRCH)) {
        evacuation.stayed.push_back("process " + word + " (" + process.command +
                                    ") cannot be moved: " + errno_name(moved.error().code) + ", " +
                                    why_not_moved(moved.error()));
      }
    }
  }
  return {};
}

// One process a write: several are EINVAL.
Result<void> CgroupTree::move(int pid, const std::string& leaf) {
  const std::string procs = child(leaf, "cgroup.procs");
  auto moved = tree_->write(procs, std::to_string(pid));
  // A fork in progress, unless it is a thread of the kernel's own, which never moves.
  for (int again = 0; again < 5 && !moved && is(moved.error(), EINVAL); ++again) {
    const auto text = host_.read("/proc/" + std::to_string(pid) + "/stat");
    const auto stat = text ? parse::process_stat(*text) : std::nullopt;
    if (stat && stat->is_kernel_thread()) break;
    tree_->pause(std::chrono::milliseconds{30});
    moved = tree_->write(procs, std::to_string(pid));
  }
  return moved;
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
  const auto in_leaf = is_our_leaf(*path);
  if (!in_leaf) return in_leaf.error();
  if (!*in_leaf) return Scope{*path, false};
  return Scope{cgroup::parent_of(*path), true};
}

Result<bool> CgroupTree::is_our_leaf(const std::string& path) const {
  // The root of what we see has no scope above it, whatever a mark on it says.
  if (path.empty()) return false;
  const auto mark = tree_->attribute(path, leaf_mark);
  if (mark) return *mark == marked;
  // EOPNOTSUPP: Linux before 5.7 keeps no attributes on cgroups.
  const bool unmarked_for_certain =
      mark.error().op == "getxattr" && (is(mark.error(), ENODATA) || is(mark.error(), EOPNOTSUPP));
  if (!unmarked_for_certain) return mark.error();
  const std::uint64_t leaf_inode = plan_.progress->leaf_inode;
  if (leaf_inode == 0) return false;
  const auto info = tree_->stat(path);
  if (!info) return info.error();
  return info->inode == leaf_inode;
}

// True when the leaf had to be made.
Result<bool> CgroupTree::enter_leaf(const std::string& leaf) {
  Rollback made{*tree_};
  const auto failed = [&](Error error) {
    for (const std::string& path : made.undo())
      cgroup::add_detail(error, shown(path) + " was made and could not be removed again");
    return error;
  };
  if (auto level = make_level(leaf, made); !level) return failed(level.error());
  // Marked first: killed right after the move, the next start still knows where it is.
  const auto set = tree_->set_attribute(leaf, leaf_mark, marked);
  if (!set && !is(set.error(), EOPNOTSUPP)) return failed(set.error());
  // "0" is the writer itself: no pid that could be reused.
  if (const auto moved = tree_->write(child(leaf, "cgroup.procs"), "0"); !moved) {
    if (set) (void)tree_->set_attribute(leaf, leaf_mark, unmarked);
    return failed(explain_move(moved.error()));
  }
  // In use from here on: it stays, whatever becomes of the rest.
  const bool is_new = !made.keep().empty();
  if (const auto info = tree_->stat(leaf)) plan_.progress->leaf_inode = info->inode;
  const auto scope = own_scope();
  if (scope && scope->in_leaf) return is_new;
  Error error{.code = Fault::not_read_back, .op = "write 0", .path = shown(leaf)};
  if (!scope) error = scope.error();
  error.migrated.push_back(describe(::getpid()));
  cgroup::add_detail(error, "surveyd itself was moved into " + shown(leaf));
  return error;
}

}  // namespace surveyd
