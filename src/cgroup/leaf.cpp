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
    const bool occupied = !report && report.error().code == Fault::occupied;
    const bool again =
        whom == Evacuate::all
            ? evacuation.tried.size() > tried
            : occupied && evacuate_own(report.error().processes, site.base, leaf, evacuation);
    if (!occupied || !again) return conclude(std::move(report), made);
  }
}

// Helper processes that were started before the daemon moved; those after it begin in the leaf.
// True when there were some that had not been tried before.
bool CgroupTree::evacuate_own(const std::vector<Process>& residents, const std::string& scope,
                              const std::string& leaf, Evacuation& evacuation) {
  const std::size_t tried = evacuation.tried.size();
  for (const Process& process : residents) {
    if (evacuation.tried.contains(process.pid) || !descends_from_us(process.pid)) continue;
    evacuation.tried.insert(process.pid);
    for (int round = 0; round < 5; ++round) {
      const auto moved = move(process, scope, leaf, evacuation);
      if (!moved || *moved) break;
      tree_->pause(std::chrono::milliseconds{30});  // it forks
    }
  }
  return evacuation.tried.size() > tried;
}

bool CgroupTree::descends_from_us(int pid) const {
  constexpr int deepest = 8;  // a helper, its child, and what that runs
  for (int level = 0; level < deepest && pid > 1; ++level) {
    const auto text = host_.read("/proc/" + std::to_string(pid) + "/stat");
    const auto stat = text ? parse::process_stat(*text) : std::nullopt;
    if (!stat) return false;
    if (stat->parent == ::getpid()) return true;
    pid = stat->parent;
  }
  return false;
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
    std::vector<Process> forking;
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
      const auto moved = move(process, scope, leaf, evacuation);
      if (!moved) return moved.error();
      if (!*moved) forking.push_back(process);
    }
    // A fork is over in a moment: all of them are waited for together.
    for (int round = 0; round < 5 && !forking.empty(); ++round) {
      tree_->pause(std::chrono::milliseconds{30});
      std::vector<Process> still;
      for (const Process& process : forking) {
        const auto moved = move(process, scope, leaf, evacuation);
        if (!moved) return moved.error();
        if (!*moved) still.push_back(process);
      }
      forking = std::move(still);
    }
    for (const Process& process : forking) evacuation.stay(process, os_error(EINVAL, "move"));
  }
  return {};
}

// One process a write: several are EINVAL. Right before it the process is asked for its cgroup: a
// number that was listed may have been given to a process elsewhere by now. False while it forks;
// fails where nobody else will fare better.
Result<bool> CgroupTree::move(const Process& process, const std::string& scope,
                              const std::string& leaf, Evacuation& evacuation) {
  const std::string pid = std::to_string(process.pid);
  const auto here = cgroup_of(pid);
  if (here && *here != scope) return true;
  const auto moved =
      here ? tree_->write(child(leaf, "cgroup.procs"), pid) : Result<void>{here.error()};
  if (moved) {
    // The kernel takes the write for one that is exiting, too, and leaves it where it is.
    if (!process.exiting) evacuation.moved.push_back(process);
    return true;
  }
  const Error& error = moved.error();
  if (is(error, EBUSY) || is(error, EOPNOTSUPP)) return explain_move(error);
  // Its files in /proc go with the process.
  const bool gone = is(error, ESRCH) || (!here && !host_.stat("/proc/" + pid));
  if (gone) return true;
  if (is(error, EINVAL) && !process.kernel_thread) return false;
  evacuation.stay(process, error);
  return true;
}

void CgroupTree::Evacuation::stay(const Process& process, const Error& error) {
  stayed.push_back("process " + std::to_string(process.pid) + " (" + process.command +
                   ") cannot be moved: " + errno_name(error.code) + ", " + why_not_moved(error));
}

Result<CgroupTree::Scope> CgroupTree::own_scope() const {
  const auto path = cgroup_of("self");
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
  const auto before = tree_->attribute(leaf, leaf_mark);
  const auto set = tree_->set_attribute(leaf, leaf_mark, marked);
  if (!set && !is(set.error(), EOPNOTSUPP)) return failed(set.error());
  // "0" is the writer itself: no pid that could be reused.
  if (const auto moved = tree_->write(child(leaf, "cgroup.procs"), "0"); !moved) {
    if (set && (!before || *before != marked))
      (void)tree_->set_attribute(leaf, leaf_mark, unmarked);
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
