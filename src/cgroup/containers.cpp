#include <algorithm>
#include <charconv>

#include "cgroup/internals.hpp"
#include "cgroup/scratch_cgroup.hpp"
#include "parse/proc_stat.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

// How many processes or children an error names at most.
constexpr std::size_t most_named = 64;

using cgroup::child;
using cgroup::self;

}  // namespace

Process CgroupTree::describe(int pid) const {
  Process process;
  process.pid = pid;
  if (pid == 0) return process;
  const auto text = host_.read("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return process;
  if (auto stat = parse::process_stat(*text)) {
    process.command = std::move(stat->command);
    process.state = stat->state;
    process.kernel_thread = stat->is_kernel_thread();
    process.exiting = stat->is_exiting();
  }
  return process;
}

Result<std::vector<Process>> CgroupTree::processes_of(const std::string& path) const {
  std::vector<Process> processes;
  const auto procs = tree_->read(child(path, "cgroup.procs"));
  if (!procs) return procs.error();
  for (const std::string& word : parse::words(*procs)) {
    // Enough to act on; a full list of a runaway cgroup would only bloat the answer.
    if (processes.size() == most_named) break;
    int pid = 0;
    std::from_chars(word.data(), word.data() + word.size(), pid);
    processes.push_back(describe(pid));
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

void CgroupTree::name_occupants(const std::string& path, Error& error) const {
  std::vector<std::string> pending{path};
  while (!pending.empty()) {
    const std::string directory = pending.back();
    pending.pop_back();
    if (auto processes = processes_of(directory))
      for (Process& process : *processes)
        if (error.processes.size() < most_named) error.processes.push_back(std::move(process));
    const auto children = children_of(directory);
    if (!children) continue;
    for (const std::string& name : *children) {
      if (error.children.size() == most_named) break;
      pending.push_back(child(directory, name));
      error.children.push_back(shown(pending.back()));
    }
  }
}

// What came and went between two looks shows in the processor time: `cpu.stat` is in every cgroup.
bool CgroupTree::ran_meanwhile(const std::string& path, Observation& observation) const {
  const auto usage = tree_->read(child(path, "cpu.stat"));
  const std::string now = usage ? *usage : std::string{};
  const bool same = now == observation.usage;
  observation.usage = now;
  return !same;
}

Result<ContainerList> CgroupTree::look_at_containers(bool in_full) {
  const auto parent = parent_in_use();
  if (!parent) return parent.error();
  ContainerList list;
  list.container_parent = shown(parent->path);
  list.placement = parent->placement;
  list.exists = parent->exists;
  if (!list.exists) return list;
  if (in_full) {
    if (const auto text = tree_->read(child(parent->base, "cgroup.controllers")))
      list.offered = parse::words(*text);
    if (const auto text = tree_->read(child(parent->path, "cgroup.subtree_control")))
      list.delegated = parse::words(*text);
  }

  const auto entries = tree_->list(self(parent->path));
  if (!entries) return entries.error();
  std::map<std::uint64_t, Observation> seen;
  const auto now = host_.now();
  for (const DirectoryEntry& entry : *entries) {
    if (!entry.is_directory || cgroup::is_scratch(entry.name)) continue;
    const std::string path = child(parent->path, entry.name);
    const auto events = tree_->read(child(path, "cgroup.events"));
    if (!events) continue;  // removed since it was listed
    ContainerCgroup container;
    container.id = entry.name;
    container.populated = cgroup::is_populated(*events);

    const auto known = seen_.find(entry.inode);
    const bool is_new = known == seen_.end();
    Observation observation = is_new ? Observation{} : std::move(known->second);
    if (is_new || in_full) {
      const auto info = tree_->stat(path);
      if (!info) continue;
      observation.created_at =
          is_new ? info->changed_at : std::min(observation.created_at, info->changed_at);
    }
    if (in_full) add_details(path, container);
    const bool ran = !container.populated && ran_meanwhile(path, observation);
    if (container.populated) {
      observation.empty_since.reset();
    } else if (ran || !observation.empty_since) {
      observation.empty_since = now;
      observation.empty_since_shown = host_.today();
    }
    container.created_at = observation.created_at;
    if (observation.empty_since) {
      container.empty_since = observation.empty_since_shown;
      container.orphaned = now - *observation.empty_since > orphaned_after;
    }
    seen.emplace(entry.inode, std::move(observation));
    list.containers.push_back(std::move(container));
  }
  // Those that are gone are forgotten.
  seen_ = std::move(seen);
  return list;
}

void CgroupTree::add_details(const std::string& path, ContainerCgroup& container) const {
  // A threaded cgroup answers EOPNOTSUPP: its processes belong to the domain above it.
  if (const auto procs = tree_->read(child(path, "cgroup.procs")))
    container.processes = parse::words(*procs).size();
  if (const auto nested = children_of(path)) container.nested = nested->size();
  if (const auto controllers = tree_->read(child(path, "cgroup.controllers")))
    container.controllers = parse::words(*controllers);
}

}  // namespace surveyd
