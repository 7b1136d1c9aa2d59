#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include <unistd.h>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using cgroup::child;
using cgroup::is;
using cgroup::is_gone;
using cgroup::is_populated;
using cgroup::self;

// How long one step may keep the next caller waiting.
constexpr std::chrono::milliseconds longest_step{100};

Result<std::vector<std::string>> directories_in(const Host& host, const std::string& path) {
  const auto entries = host.list(self(path));
  if (!entries) return entries.error();
  std::vector<std::string> paths;
  for (const DirectoryEntry& entry : *entries)
    if (entry.is_directory) paths.push_back(child(path, entry.name));
  return paths;
}

/// A cgroup whose processes stand still until this ends; nothing on a kernel without a freezer.
class Frozen {
 public:
  explicit Frozen(Host& cgroup) : cgroup_(cgroup) { (void)cgroup_.write("cgroup.freeze", "1"); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  // Always: a frozen cgroup whose processes were missed would stand still for ever.
  ~Frozen() { (void)cgroup_.write("cgroup.freeze", "0"); }

 private:
  Host& cgroup_;
};

}  // namespace

Result<Removal> CgroupTree::remove_container(const ContainerId& id) {
  if (known_parent_) {
    // Without a look at the parent first: when it is gone, so is the container.
    auto removal = remove_below(known_parent_->path, id);
    if (removal && removal->removed) return removal;
    if (!removal && !is_gone(removal.error())) return removal;
  }
  const auto parents = parents_of_containers();
  if (!parents) return parents.error();
  for (const std::string& parent : *parents) {
    auto removal = remove_below(parent, id);
    if (!removal || removal->removed) return removal;
  }
  return Removal{id.str(), false};
}

// The one in use first. Containers of an earlier placement may still be there: to say that one is
// absent would be wrong.
Result<std::vector<std::string>> CgroupTree::parents_of_containers() {
  const auto in_use = parent_in_use();
  if (!in_use) return in_use.error();
  std::vector<std::string> paths{in_use->path};
  const bool host = in_use->placement == Placement::host;
  const auto other = parent_at(host ? Placement::scope : Placement::host);
  // A process without a place of its own in the tree has no scope either.
  if (!other && other.error().code != Fault::no_usable_cgroup2) return other.error();
  if (other && other->path != in_use->path) paths.push_back(other->path);
  return paths;
}

Result<Removal> CgroupTree::remove_below(const std::string& parent, const ContainerId& id) {
  const std::string path = child(parent, id.str());
  auto removed = tree_->remove_directory(path);
  // Looked at once more: somebody may have made it in between, and on a read-only mount rmdir of
  // what is not there is EROFS.
  for (int again = 0; !removed && !is(removed.error(), EBUSY); ++again) {
    const auto info = tree_->stat(path);
    if (!info && is(info.error(), ENOENT)) return Removal{id.str(), false};
    if (!is(removed.error(), ENOENT) || again == 3) return removed.error();
    if (!info) return info.error();
    removed = tree_->remove_directory(path);
  }
  if (removed) return Removal{id.str(), true};
  // On a read-only mount rmdir of what is not there is EROFS all the same.
  // The kernel says EBUSY for live processes and for child cgroups alike.
  Error error{.code = Fault::occupied, .op = "rmdir", .path = shown(path)};
  error.refusal = removed.error().code;
  error.detail =
      "Nothing was killed or moved: end the container first and repeat, or repeat with "
      "?force=true";
  name_occupants(path, error);
  return error;
}

Result<std::optional<CgroupTree::Doomed>> CgroupTree::find_doomed(const ContainerId& id) {
  const auto parents = parents_of_containers();
  if (!parents) return parents.error();
  for (const std::string& parent : *parents) {
    const std::string path = child(parent, id.str());
    Doomed doomed;
    doomed.path = path;
    auto inside = tree_->enter(path);
    // Looked at once more before it is called absent.
    if (!inside && is(inside.error(), ENOENT) && tree_->stat(path)) inside = tree_->enter(path);
    if (!inside) {
      if (is(inside.error(), ENOENT) && !tree_->stat(path)) continue;
      return inside.error();
    }
    doomed.inside = std::move(*inside);
    const auto info = doomed.inside->stat(".");
    if (!info) return info.error();
    doomed.inode = info->inode;
    // Open before anything is killed, so that no change is missed.
    auto events = doomed.inside->watch("cgroup.events");
    if (!events) {
      const auto there = is_there(doomed);
      if (there && !*there) continue;
      return events.error();
    }
    doomed.events = std::move(*events);
    return std::optional<Doomed>{std::move(doomed)};
  }
  return std::optional<Doomed>{};
}

Result<RemovalStep> CgroupTree::remove_container_by_force(const ContainerId& id) {
  auto found = find_doomed(id);
  if (!found) return found.error();
  if (!*found) return RemovalStep{.done = Removal{id.str(), false}};
  Doomed& doomed = **found;
  const auto ours = lives_here(doomed);
  if (!ours) return ours.error();
  if (*ours) {
    Error error{.code = Fault::occupied, .op = "kill", .path = shown(doomed.path)};
    error.detail = "surveyd itself lives in this cgroup";
    error.processes.push_back(describe(::getpid()));
    return error;
  }
  // Another caller may have begun it.
  const std::uint64_t inode = doomed.inode;
  doomed_.try_emplace(inode, std::move(doomed));
  return step(id, inode);
}

Result<RemovalStep> CgroupTree::continue_removal(const ContainerId& id, std::uint64_t inode) {
  // Somebody else's step may have been the last one.
  if (!doomed_.contains(inode)) return RemovalStep{.done = Removal{id.str(), true}};
  return step(id, inode);
}

Result<RemovalStep> CgroupTree::step(const ContainerId& id, std::uint64_t inode) {
  Doomed& doomed = doomed_.at(inode);
  auto removed = end_and_remove(doomed);
  if (removed && !*removed)
    return RemovalStep{
        .done = {}, .inode = inode, .events = doomed.events, .cut_short = doomed.cut_short};
  doomed_.erase(inode);
  if (!removed) return removed.error();
  return RemovalStep{.done = Removal{id.str(), true}};
}

// Whether the daemon is in this cgroup or below, where killing would mean itself.
Result<bool> CgroupTree::lives_here(const Doomed& doomed) const {
  const auto own = cgroup_of("self");
  if (own) return lives_in("self", doomed.path);
  if (own.error().code != Fault::no_usable_cgroup2) return own.error();
  // Our own cgroup has no name in this tree (the host's may be mounted in a private namespace), but
  // we are listed where we live.
  const std::string self_pid = std::to_string(::getpid());
  std::vector<std::string> pending{""};
  while (!pending.empty()) {
    const std::string at = pending.back();
    pending.pop_back();
    const auto procs = doomed.inside->read(child(at, "cgroup.procs"));
    if (!procs && !is_gone(procs.error()) && !is(procs.error(), EOPNOTSUPP)) return procs.error();
    if (procs) {
      const auto pids = parse::words(*procs);
      if (std::find(pids.begin(), pids.end(), self_pid) != pids.end()) return true;
    }
    if (const auto children = directories_in(*doomed.inside, at))
      pending.insert(pending.end(), children->begin(), children->end());
  }
  return false;
}

// True once it is gone, false while something in it is still to die.
Result<bool> CgroupTree::end_and_remove(Doomed& doomed) {
  auto removed = try_to_remove(doomed);
  if (removed || !is_gone(removed.error())) return removed;
  // Seen once more from outside: what one call says of a file in it need not be true of it.
  const auto there = is_there(doomed);
  if (!there) return there.error();
  if (*there) return removed;
  return true;
}

Result<bool> CgroupTree::try_to_remove(Doomed& doomed) {
  doomed.cut_short = false;
  auto events = doomed.events->read();
  if (!events) return events.error();
  if (is_populated(*events)) {
    if (const auto killed = kill_all(doomed); !killed) return killed.error();
    events = doomed.events->read();
    if (!events) return events.error();
  }
  // Not an empty cgroup.procs: exiting tasks are hidden from it while they still count.
  if (is_populated(*events)) return false;
  auto emptied = remove_all_below(doomed, host_.now() + longest_step);
  if (!emptied || !*emptied) return emptied;
  // By name, so only while the name still means the same cgroup.
  const auto there = is_there(doomed);
  if (!there) return there.error();
  if (!*there) return os_error(ENOENT, "stat", shown(doomed.path));
  const auto removed = tree_->remove_directory(doomed.path);
  if (removed) return true;
  if (is(removed.error(), EBUSY)) return false;
  return removed.error();
}

// Depth first, and without recursion: whoever lives in a container may nest cgroups as deep as
// memory lasts, and go on making them. True once nothing is below it any more; false while
// something in there is populated, or when `until` has come.
Result<bool> CgroupTree::remove_all_below(Doomed& doomed,
                                          std::chrono::steady_clock::time_point until) {
  // A path longer than this is walked from a descriptor on the way: the kernel takes no more than
  // 4,096 bytes at once, and looks up each part of it every time.
  constexpr std::size_t longest = 400;
  auto descents = std::exchange(doomed.descents, {});
  if (descents.empty()) descents.push_back({doomed.inside, {""}});
  while (!descents.empty()) {
    auto& [from, pending] = descents.back();
    if (pending.empty()) {
      descents.pop_back();
      continue;
    }
    if (host_.now() > until) {
      doomed.descents = std::move(descents);
      doomed.cut_short = true;
      return false;
    }
    const std::string at = pending.back();
    const auto children = directories_in(*from, at);
    if (!children) {
      if (!is_gone(children.error())) return children.error();
      pending.pop_back();
    } else if (children->empty()) {
      pending.pop_back();
      if (at.empty()) continue;  // removed from above
      const auto removed = from->remove_directory(at);
      if (removed || is_gone(removed.error())) continue;
      if (is(removed.error(), EBUSY)) return false;
      return removed.error();
    } else if (at.size() > longest) {
      auto deeper = from->enter(at);
      if (!deeper) return deeper.error();
      descents.push_back({std::shared_ptr<Host>{std::move(*deeper)}, {""}});
    } else {
      pending.insert(pending.end(), children->begin(), children->end());
    }
  }
  return true;
}

// Whether its name still leads to the cgroup that was found at first.
Result<bool> CgroupTree::is_there(const Doomed& doomed) const {
  const auto info = tree_->stat(doomed.path);
  if (info) return info->inode == doomed.inode;
  if (is(info.error(), ENOENT)) return false;
  return info.error();
}

Result<void> CgroupTree::kill_all(Doomed& doomed) {
  auto killed = doomed.inside->write("cgroup.kill", "1");
  if (killed) return killed;
  Error error = killed.error();
  // Linux before 5.14 has no such file; a cgroup that went away has none either, nor processes.
  if (is(error, ENOENT)) {
    const auto procs = doomed.inside->stat("cgroup.procs");
    if (!procs) return procs.error();
    return kill_each(doomed);
  }
  if (is(error, EOPNOTSUPP)) {
    error.refusal = std::exchange(error.code, Fault::not_a_domain);
    error.detail =
        "a threaded cgroup cannot be killed: its processes belong to the domain above it";
  }
  return error;
}

Result<void> CgroupTree::kill_each(Doomed& doomed) {
  const Frozen frozen{*doomed.inside};
  std::vector<std::string> pending{""};
  while (!pending.empty()) {
    const std::string at = pending.back();
    pending.pop_back();
    if (const auto children = directories_in(*doomed.inside, at))
      pending.insert(pending.end(), children->begin(), children->end());
    const auto procs = doomed.inside->read(child(at, "cgroup.procs"));
    if (!procs) continue;  // gone, or threaded: its processes are listed above it
    for (const std::string& word : parse::words(*procs)) {
      int pid = 0;
      std::from_chars(word.data(), word.data() + word.size(), pid);
      // A listed 0 belongs to another pid namespace and cannot be named from here.
      if (pid <= 0) continue;
      const auto killed = tree_->kill(pid, [&] {
        const auto here = lives_in(word, doomed.path);
        return here && *here;
      });
      if (!killed && !is(killed.error(), ESRCH)) return killed.error();
    }
  }
  return {};
}

// Whether the process, "self" or a number, lives in this cgroup or below.
Result<bool> CgroupTree::lives_in(const std::string& process, const std::string& path) const {
  const auto own = cgroup_of(process);
  // What cannot be named in this tree does not lie in it.
  if (!own && own.error().code == Fault::no_usable_cgroup2) return false;
  if (!own) return own.error();
  return *own == path || own->starts_with(path + "/");
}

Error CgroupTree::explain_remnant(const ContainerId& id, std::uint64_t inode) const {
  Error error{.code = Fault::timed_out, .op = "remove", .path = id.str()};
  const auto known = doomed_.find(inode);
  if (known == doomed_.end()) return error;
  const Doomed& doomed = known->second;
  error.path = shown(doomed.path);
  // Only while the name still means the same cgroup.
  if (const auto there = is_there(doomed); there && *there) name_occupants(doomed.path, error);
  const auto is_stuck = [](const Process& process) { return process.state == 'D'; };
  if (std::any_of(error.processes.begin(), error.processes.end(), is_stuck)) {
    std::erase_if(error.processes, [&](const Process& process) { return !is_stuck(process); });
    error.detail =
        "these processes wait in the kernel (state D), most often for a device or a file system, "
        "and end when that answers";
  } else {
    error.detail = error.processes.empty() ? "not all of the cgroups below it are removed yet"
                                           : "its processes have been killed and are not gone yet";
  }
  cgroup::add_detail(error, "surveyd goes on removing it in the background");
  return error;
}

}  // namespace surveyd
