#include "support/fake_cgroup_host.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <map>
#include <set>

#include <unistd.h>

#include "parse/words.hpp"

namespace surveyd::test {
namespace {

constexpr const char* tree_mount_point = "/sys/fs/cgroup";
constexpr std::uint64_t cgroup1_magic = 0x27e0eb;
constexpr std::uint64_t ext4_magic = 0xef53;
constexpr std::uint64_t initial_cgroup_namespace = 0xEFFFFFFB;

// cgrp_dfl_threaded_ss_mask.
bool is_threaded_controller(const std::string& name) {
  return name == "cpu" || name == "cpuset" || name == "pids" || name == "perf_event";
}

std::string joined(const std::string& directory, std::string_view name) {
  return (directory == "/" ? "" : directory) + "/" + std::string{name};
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

const char* name_of(Op op) {
  switch (op) {
    case Op::read:
      return "read";
    case Op::list:
      return "readdir";
    case Op::stat:
      return "stat";
    case Op::statfs:
      return "statfs";
    case Op::access:
      return "access";
    case Op::getxattr:
      return "getxattr";
    case Op::find:
      return "open_by_handle_at";
    case Op::mkdir:
      return "mkdir";
    case Op::rmdir:
      return "rmdir";
    case Op::write:
      return "write";
    case Op::setxattr:
      return "setxattr";
    case Op::kill:
      return "kill";
    case Op::watch:
    case Op::open:
    case Op::enter:
      break;
  }
  return "open";
}

std::deque<std::string> components(std::string_view path) {
  std::deque<std::string> names;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    names.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return names;
}

struct Cgroup {
  Cgroup* parent = nullptr;
  std::string name;
  std::uint64_t inode = 0;
  std::chrono::milliseconds made_at{0};
  std::string pids_max = "max";
  std::map<std::string, std::unique_ptr<Cgroup>> children;
  std::set<std::string> enabled;
  bool threaded = false;
  bool frozen = false;
  bool pressure = true;  // cgroup.pressure; 0 hides the files that tell of it
  unsigned long usage = 0;
  std::map<std::string, std::string> attributes;
  std::size_t max_depth = std::numeric_limits<std::size_t>::max();
  std::size_t max_descendants = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] std::string path() const {
    return parent == nullptr ? "/" : joined(parent->path(), name);
  }
  [[nodiscard]] bool is_or_is_below(const Cgroup* other) const {
    for (const Cgroup* at = this; at != nullptr; at = at->parent)
      if (at == other) return true;
    return false;
  }
  [[nodiscard]] std::size_t descendants() const {
    std::size_t count = children.size();
    for (const auto& [_, child] : children) count += child->descendants();
    return count;
  }
};

// An ordinary file, directory or link.
struct Plain {
  FileKind kind = FileKind::regular;
  std::string text;
  std::string target;  // of a link
  std::uint64_t inode = 0;
  bool is_link = false;
};

struct Mount {
  std::string point;
  std::string type;
  std::uint64_t magic;
  Cgroup* root = nullptr;  // of a cgroup2 mount: what is seen there
  bool read_only = false;
};

struct LivingProcess {
  std::string command;
  Cgroup* cgroup = nullptr;
  bool unkillable = false;
  bool kernel_thread = false;
  std::optional<std::chrono::milliseconds> gone_at;  // by the clock, of one that exits
  int refusal = 0;                                   // of the next moves
  int refusals = 0;
  std::uint64_t start_time = 1;  // by the kernel's ticks
};

// PF_… of include/linux/sched.h
unsigned flags_of(const LivingProcess& process) {
  const unsigned ordinary = process.kernel_thread ? 0x00208040U : 0x00400000U;
  return ordinary | (process.gone_at ? 0x00000004U : 0U);
}

}  // namespace

struct FakeCgroupHost::Target {
  std::string path;  // on the machine, without links
  Cgroup* cgroup = nullptr;
  std::string file;  // of that cgroup; empty: its directory
  Plain* plain = nullptr;
  const Mount* mount = nullptr;

  [[nodiscard]] bool is_directory() const {
    return plain != nullptr ? plain->kind == FileKind::directory : file.empty();
  }
};

struct FakeCgroupHost::Machine {
  struct Failure {
    Op op;
    std::string path;
    int error_number;
    int times;
  };
  struct Interruption {
    Op op;
    std::string path;
    std::function<void()> action;
  };
  struct Call {
    Op op;
    std::string text;
  };

  std::vector<std::string> controllers;
  Cgroup root;
  Cgroup* namespace_root = &root;
  std::map<int, LivingProcess> processes;  // negative: of another pid namespace
  std::map<std::string, Plain> plain;
  std::deque<Mount> mounts;  // later ones are on top
  std::map<std::string, int> refused;
  std::optional<std::string> claimed_path;
  std::optional<std::string> claimed_mountinfo;
  std::uint64_t last_inode = 1;
  int last_pid = 100000;
  std::uint64_t last_start = 1;
  int last_foreign = 0;
  std::vector<Failure> failures;
  std::vector<Interruption> interruptions;
  std::vector<Call> calls;
  int pauses = 0;
  std::chrono::milliseconds clock{1'000'000};
  bool has_kill_file = true;

  Cgroup* locate(const std::string& path) {
    Cgroup* at = &root;
    for (const std::string& name : components(path)) {
      if (name.empty()) continue;
      const auto child = at->children.find(name);
      if (child == at->children.end()) return nullptr;
      at = child->second.get();
    }
    return at;
  }
  Cgroup& demand(const std::string& path) {
    Cgroup* cgroup = locate(path);
    if (cgroup == nullptr) throw std::logic_error("no cgroup " + path);
    return *cgroup;
  }
  Cgroup& add(Cgroup& parent, const std::string& name) {
    auto& child = parent.children[name];
    child = std::make_unique<Cgroup>();
    child->parent = &parent;
    child->name = name;
    child->inode = ++last_inode;
    child->made_at = clock;
    return *child;
  }
  void add_plain(const std::string& path, Plain node) {
    node.inode = ++last_inode;
    plain[path] = std::move(node);
    for (std::string at = parent_of(path); !plain.contains(at); at = parent_of(at))
      plain[at] = {.kind = FileKind::directory, .text = {}, .target = {}, .inode = ++last_inode};
  }

  const Mount* mount_of(const std::string& path) const {
    const Mount* best = nullptr;
    for (const Mount& mount : mounts) {
      const bool here =
          mount.point == "/" || path == mount.point || path.starts_with(mount.point + "/");
      if (here && (best == nullptr || mount.point.size() >= best->point.size())) best = &mount;
    }
    return best;
  }
  Mount* tree_mount() {
    const auto found = std::find_if(mounts.begin(), mounts.end(),
                                    [](const Mount& mount) { return mount.root != nullptr; });
    return found == mounts.end() ? nullptr : &*found;
  }

  void pass(std::chrono::milliseconds time) {
    clock += time;
    std::erase_if(processes, [this](const auto& process) {
      return process.second.gone_at && *process.second.gone_at <= clock;
    });
  }

  // kernfs_path_from_node(): "/..", once for each level that `to` lies above the common ancestor.
  static std::string path_between(const Cgroup* from, const Cgroup* to) {
    std::string path;
    while (!to->is_or_is_below(from)) {
      path += "/..";
      from = from->parent;
    }
    const std::string base = from->parent == nullptr ? "" : from->path();
    const std::string rest = to->parent == nullptr ? "" : to->path().substr(base.size());
    path += rest;
    return path.empty() ? "/" : path;
  }

  std::string mountinfo() const {
    if (claimed_mountinfo) return *claimed_mountinfo;
    std::string text;
    int id = 20;
    for (const Mount& mount : mounts) {
      ++id;
      text += std::to_string(id) + " 1 0:" + std::to_string(id) + " " +
              (mount.root == nullptr ? "/" : path_between(namespace_root, mount.root)) + " " +
              mount.point + (mount.read_only ? " ro" : " rw") + ",relatime - " + mount.type + " " +
              mount.type + " rw\n";
    }
    return text;
  }

  void refresh_proc() {
    // What is about processes; the rest stays as tests put it there.
    std::erase_if(plain, [](const auto& node) {
      return node.first.starts_with("/proc/") && !node.first.starts_with("/proc/pressure");
    });
    const auto file = [this](const std::string& path, std::string text) {
      add_plain(path,
                {.kind = FileKind::regular, .text = std::move(text), .target = {}, .inode = 0});
    };
    const auto proc_cgroup = [this](const Cgroup* cgroup) {
      if (tree_mount() == nullptr) return std::string{"1:memory:/\n"};
      return "0::" + path_between(namespace_root, cgroup) + "\n";
    };
    for (const auto& [pid, process] : processes) {
      if (pid < 0) continue;
      const std::string directory = "/proc/" + std::to_string(pid);
      file(directory + "/comm", process.command + "\n");
      file(directory + "/stat",
           std::to_string(pid) + " (" + process.command + ") " + (process.unkillable ? "D" : "S") +
               " 1 1 1 0 -1 " + std::to_string(flags_of(process)) + " 0 0 0 0 0 0 0 0 20 0 1 0 " +
               std::to_string(process.start_time) + " 0\n");
      file(directory + "/cgroup", proc_cgroup(process.cgroup));
    }
    file("/proc/self/cgroup", claimed_path ? "0::" + *claimed_path + "\n"
                                           : proc_cgroup(processes.at(::getpid()).cgroup));
    file("/proc/self/mountinfo", mountinfo());
    for (const std::string name : {"cgroup", "pid", "user"}) {
      const std::string path = "/proc/self/ns/" + name;
      file(path, {});
      const bool initial = name != "cgroup" || namespace_root == &root;
      plain[path].inode = initial ? initial_cgroup_namespace + (name == "pid"    ? 1
                                                                : name == "user" ? 2
                                                                                 : 0)
                                  : 4026532179;
    }
  }

  bool has_file(const Cgroup& cgroup, const std::string& name) const {
    static const std::set<std::string> everywhere = {"cgroup.controllers",
                                                     "cgroup.max.depth",
                                                     "cgroup.max.descendants",
                                                     "cgroup.procs",
                                                     "cgroup.subtree_control",
                                                     "cgroup.threads",
                                                     "cpu.stat"};
    static const std::set<std::string> below_root = {"cgroup.events", "cgroup.freeze",
                                                     "cgroup.kill",   "cgroup.pressure",
                                                     "cgroup.type",   "memory.pressure"};
    if (name == "memory.pressure" && !cgroup.pressure) return false;
    if (name == "cgroup.kill" && !has_kill_file) return false;
    if (name == "pids.max" || name == "memory.swap.max")
      return cgroup.parent != nullptr && offers(cgroup, name.substr(0, name.find('.')));
    return everywhere.contains(name) || (cgroup.parent != nullptr && below_root.contains(name));
  }

  /// What is at a path none of whose components is a link; nothing: ENOENT.
  std::optional<Target> lookup(const std::string& path) {
    Target target;
    target.path = path;
    target.mount = mount_of(path);
    if (target.mount->root == nullptr) {
      const auto node = plain.find(path);
      if (node == plain.end()) return std::nullopt;
      target.plain = &node->second;
      return target;
    }
    target.cgroup = target.mount->root;
    for (const std::string& name : components(path.substr(target.mount->point.size()))) {
      if (name.empty()) continue;
      if (!target.file.empty()) return std::nullopt;
      const auto child = target.cgroup->children.find(name);
      if (child != target.cgroup->children.end())
        target.cgroup = child->second.get();
      else if (has_file(*target.cgroup, name))
        target.file = name;
      else
        return std::nullopt;
    }
    return target;
  }

  /// open(2), or openat2(2) with RESOLVE_BENEATH, _NO_SYMLINKS and _NO_XDEV when `top` is given.
  int walk(const std::string& top, const std::string& path, Target& found) {
    const bool confined = !top.empty();
    if (path.empty()) return ENOENT;
    if (confined && path.front() == '/') return EXDEV;
    auto target = lookup(confined ? top : "/");
    if (!target) return ENOENT;
    const Mount* const home = target->mount;
    std::deque<std::string> rest = components(path);
    for (int links = 0; !rest.empty();) {
      const std::string name = rest.front();
      rest.pop_front();
      if (!target->is_directory()) return ENOTDIR;
      if (name.empty() || name == ".") continue;
      if (name == ".." && confined && target->path == top) return EXDEV;
      auto next = lookup(name == ".." ? parent_of(target->path) : joined(target->path, name));
      if (!next) return ENOENT;
      if (next->plain != nullptr && next->plain->is_link) {
        if (confined || ++links > 40) return ELOOP;
        const std::string to = next->plain->target;
        if (to.starts_with('/')) target = lookup("/");
        const auto more = components(to);
        rest.insert(rest.begin(), more.begin(), more.end());
        continue;
      }
      if (confined && next->mount != home) return EXDEV;
      target = std::move(next);
    }
    if (path.ends_with('/') && !target->is_directory()) return ENOTDIR;
    found = *target;
    return 0;
  }

  // The predicates of kernel/cgroup/cgroup.c, by their names there.
  bool has_tasks(const Cgroup& cgroup) const {
    return std::any_of(processes.begin(), processes.end(),
                       [&cgroup](const auto& one) { return one.second.cgroup == &cgroup; });
  }
  bool is_populated(const Cgroup& cgroup) const {
    return std::any_of(processes.begin(), processes.end(), [&cgroup](const auto& one) {
      return one.second.cgroup->is_or_is_below(&cgroup);
    });
  }
  static bool is_mixable(const Cgroup& cgroup) { return cgroup.parent == nullptr; }
  static bool has_enabled(const Cgroup& cgroup, bool threaded) {
    return std::any_of(
        cgroup.enabled.begin(), cgroup.enabled.end(),
        [threaded](const std::string& name) { return is_threaded_controller(name) == threaded; });
  }
  bool can_be_thread_root(const Cgroup& cgroup) const {
    if (is_mixable(cgroup)) return true;
    if (cgroup.threaded || has_enabled(cgroup, false)) return false;
    return std::none_of(cgroup.children.begin(), cgroup.children.end(), [this](const auto& child) {
      return !child.second->threaded && is_populated(*child.second);
    });
  }
  bool is_thread_root(const Cgroup& cgroup) const {
    if (cgroup.threaded) return false;
    if (std::any_of(cgroup.children.begin(), cgroup.children.end(),
                    [](const auto& child) { return child.second->threaded; }))
      return true;
    return has_tasks(cgroup) && has_enabled(cgroup, true);
  }
  bool is_valid_domain(const Cgroup& cgroup) const {
    if (cgroup.threaded) return false;
    for (const Cgroup* at = cgroup.parent; at != nullptr; at = at->parent)
      if (at->threaded || (!is_mixable(*at) && is_thread_root(*at))) return false;
    return true;
  }
  static const Cgroup& domain_of(const Cgroup& cgroup) {
    const Cgroup* at = &cgroup;
    while (at->threaded) at = at->parent;
    return *at;
  }
  std::string type(const Cgroup& cgroup) const {
    if (cgroup.threaded) return "threaded";
    if (!is_valid_domain(cgroup)) return "domain invalid";
    return !is_mixable(cgroup) && is_thread_root(cgroup) ? "domain threaded" : "domain";
  }
  bool offers(const Cgroup& cgroup, const std::string& controller) const {
    if (cgroup.parent != nullptr) return cgroup.parent->enabled.contains(controller);
    return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
  }

  int read(const Cgroup& cgroup, const std::string& file, std::string& text) const;
  int write(Cgroup& cgroup, const std::string& file, std::string_view text);
  int change_subtree_control(Cgroup& cgroup, std::string_view text);
  int attach(Cgroup& cgroup, std::string_view text);
  int set_type(Cgroup& cgroup, std::string_view text) const;
  int kill(const Cgroup& cgroup, std::string_view text);
  std::string events(const Cgroup& cgroup) const;
  int make(Cgroup& parent, const std::string& name);
  int remove(Cgroup& parent, const std::string& name);
};

int FakeCgroupHost::Machine::read(const Cgroup& cgroup, const std::string& file,
                                  std::string& text) const {
  const auto list = [&](const auto& shown) {
    for (const std::string& name : controllers)
      if (shown(name)) text += (text.empty() ? "" : " ") + name;
    text += "\n";
    return 0;
  };
  const auto limit = [&text](std::size_t value) {
    const bool unlimited = value == std::numeric_limits<std::size_t>::max();
    text = (unlimited ? "max" : std::to_string(value)) + "\n";
    return 0;
  };
  if (file == "cgroup.controllers")
    return list([&](const std::string& name) { return offers(cgroup, name); });
  if (file == "cgroup.subtree_control")
    return list([&](const std::string& name) { return cgroup.enabled.contains(name); });
  if (file == "cgroup.max.depth") return limit(cgroup.max_depth);
  if (file == "cgroup.max.descendants") return limit(cgroup.max_descendants);
  if (file == "cgroup.type") text = type(cgroup) + "\n";
  if (file == "cgroup.events") text = events(cgroup);
  if (file == "cgroup.freeze") text = cgroup.frozen ? "1\n" : "0\n";
  if (file == "cgroup.pressure") text = cgroup.pressure ? "1\n" : "0\n";
  if (file == "memory.pressure") text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
  if (file == "cpu.stat") text = "usage_usec " + std::to_string(cgroup.usage) + "\n";
  if (file == "pids.max") text = cgroup.pids_max + "\n";
  if (file == "memory.swap.max") text = "max\n";
  if (file == "cgroup.kill") return EINVAL;
  if (file != "cgroup.procs" && file != "cgroup.threads") return 0;

  if (file == "cgroup.procs" && cgroup.threaded) return EOPNOTSUPP;
  for (const auto& [pid, process] : processes) {
    // A thread root lists the processes of its whole threaded subtree.
    const bool here =
        file == "cgroup.procs" ? &domain_of(*process.cgroup) == &cgroup : process.cgroup == &cgroup;
    if (here) text += std::to_string(std::max(pid, 0)) + "\n";
  }
  return 0;
}

int FakeCgroupHost::Machine::write(Cgroup& cgroup, const std::string& file, std::string_view text) {
  const auto limit = [text](std::size_t& value) {
    const std::string_view word = parse::trimmed(text);
    if (word == "max") {
      value = std::numeric_limits<std::size_t>::max();
      return 0;
    }
    const auto end = word.data() + word.size();
    return std::from_chars(word.data(), end, value).ptr == end ? 0 : EINVAL;
  };
  if (text.empty()) return 0;
  if (file == "cgroup.subtree_control") return change_subtree_control(cgroup, text);
  if (file == "cgroup.procs") return attach(cgroup, text);
  if (file == "cgroup.type") return set_type(cgroup, text);
  if (file == "cgroup.kill") return kill(cgroup, text);
  if (file == "cgroup.freeze") {
    const std::string_view word = parse::trimmed(text);
    if (word != "0" && word != "1") return ERANGE;
    cgroup.frozen = word == "1";
    return 0;
  }
  if (file == "cgroup.max.depth") return limit(cgroup.max_depth);
  if (file == "cgroup.max.descendants") return limit(cgroup.max_descendants);
  if (file == "pids.max") {
    std::size_t number = 0;
    const int error = limit(number);
    if (error == 0) cgroup.pids_max = parse::trimmed(text);
    return error;
  }
  return EINVAL;  // no write handler
}

// cgroup_subtree_control_write(): first the names, then what is offered and used, and nothing is
// changed unless all of it can be.
int FakeCgroupHost::Machine::change_subtree_control(Cgroup& cgroup, std::string_view text) {
  std::set<std::string> enable;
  std::set<std::string> disable;
  for (const std::string& word : parse::words(text)) {
    const std::string name = word.substr(1);
    // What the machine does not offer in v2 it may still know, in v1.
    static const std::set<std::string> known = {"cpuset", "cpu",     "io",   "memory",
                                                "pids",   "hugetlb", "rdma", "misc"};
    if (!known.contains(name) || (word[0] != '+' && word[0] != '-')) return EINVAL;
    (word[0] == '+' ? enable : disable).insert(name);
    (word[0] == '+' ? disable : enable).erase(name);
  }
  std::erase_if(enable, [&](const auto& name) { return cgroup.enabled.contains(name); });
  std::erase_if(disable, [&](const auto& name) { return !cgroup.enabled.contains(name); });
  for (const std::string& name : enable)
    if (!offers(cgroup, name)) return ENOENT;
  for (const std::string& name : disable)
    for (const auto& [_, child] : cgroup.children)
      if (child->enabled.contains(name)) return EBUSY;

  // cgroup_vet_subtree_control_enable()
  if (!enable.empty()) {
    if (!is_valid_domain(domain_of(cgroup))) return EOPNOTSUPP;
    const bool domain_enable = !std::all_of(enable.begin(), enable.end(), is_threaded_controller);
    if (!is_mixable(cgroup)) {
      if (domain_enable && (is_thread_root(cgroup) || cgroup.threaded)) return EOPNOTSUPP;
      // Threaded controllers alone are taken over resident processes: the trap.
      const bool mixes = !domain_enable && (can_be_thread_root(cgroup) || cgroup.threaded);
      if (!mixes && has_tasks(cgroup)) return EBUSY;
    }
  }
  for (const std::string& name : enable)
    if (const auto refusal = refused.find(name); refusal != refused.end()) return refusal->second;
  cgroup.enabled.insert(enable.begin(), enable.end());
  for (const std::string& name : disable) cgroup.enabled.erase(name);
  return 0;
}

// cgroup_procs_write(): kstrtoint() takes exactly one number.
int FakeCgroupHost::Machine::attach(Cgroup& cgroup, std::string_view text) {
  const std::string_view word = parse::trimmed(text);
  int pid = -1;
  const auto end = word.data() + word.size();
  if (std::from_chars(word.data(), end, pid).ptr != end || pid < 0) return EINVAL;
  const auto process = processes.find(pid == 0 ? ::getpid() : pid);
  if (process == processes.end()) return ESRCH;
  if (process->second.kernel_thread) return EINVAL;
  if (process->second.refusals > 0) {
    --process->second.refusals;
    return process->second.refusal;
  }
  if (process->second.gone_at) return 0;  // cgroup_migrate_add_task()

  // cgroup_migrate_vet_dst()
  if (!is_valid_domain(domain_of(cgroup))) return EOPNOTSUPP;
  if (!can_be_thread_root(cgroup) && !cgroup.threaded && !cgroup.enabled.empty()) return EBUSY;
  process->second.cgroup = &cgroup;
  return 0;
}

// cgroup_enable_threaded()
int FakeCgroupHost::Machine::set_type(Cgroup& cgroup, std::string_view text) const {
  if (parse::trimmed(text) != "threaded") return EINVAL;
  if (cgroup.threaded) return 0;
  const Cgroup& domain = domain_of(*cgroup.parent);
  if (is_populated(cgroup) || has_enabled(cgroup, false) || !is_valid_domain(domain) ||
      !can_be_thread_root(domain))
    return EOPNOTSUPP;
  cgroup.threaded = true;
  return 0;
}

int FakeCgroupHost::Machine::kill(const Cgroup& cgroup, std::string_view text) {
  if (parse::trimmed(text) != "1") return ERANGE;
  if (cgroup.threaded) return EOPNOTSUPP;
  std::erase_if(processes, [&cgroup](const auto& process) {
    return !process.second.unkillable && process.second.cgroup->is_or_is_below(&cgroup);
  });
  return 0;
}

std::string FakeCgroupHost::Machine::events(const Cgroup& cgroup) const {
  bool frozen = false;
  for (const Cgroup* at = &cgroup; at != nullptr; at = at->parent) frozen |= at->frozen;
  return std::string{"populated "} + (is_populated(cgroup) ? "1" : "0") + "\nfrozen " +
         (frozen ? "1" : "0") + "\n";
}

int FakeCgroupHost::Machine::make(Cgroup& parent, const std::string& name) {
  if (parent.children.contains(name) || has_file(parent, name)) return EEXIST;
  if (name.find('\n') != std::string::npos) return EINVAL;
  // cgroup_check_hierarchy_limits()
  std::size_t level = 0;
  for (const Cgroup* at = &parent; at != nullptr; at = at->parent, ++level)
    if (at->descendants() >= at->max_descendants || level >= at->max_depth) return EAGAIN;
  add(parent, name);
  return 0;
}

int FakeCgroupHost::Machine::remove(Cgroup& parent, const std::string& name) {
  const auto child = parent.children.find(name);
  if (child == parent.children.end()) return has_file(parent, name) ? ENOTDIR : ENOENT;
  if (is_populated(*child->second) || !child->second->children.empty()) return EBUSY;
  parent.children.erase(child);
  return 0;
}

FakeCgroupHost::FakeCgroupHost(std::vector<std::string> controllers)
    : machine_(std::make_shared<Machine>()) {
  Machine& machine = *machine_;
  machine.controllers = std::move(controllers);
  machine.root.inode = 1;
  machine.mounts = {{"/", "ext4", ext4_magic},
                    {tree_mount_point, "cgroup2", cgroup2_magic, &machine.root}};
  add_directory(tree_mount_point);
  machine.processes[::getpid()] = {.command = "surveyd", .cgroup = &machine.root};
}

FakeCgroupHost::FakeCgroupHost(std::shared_ptr<Machine> machine, const Target& root)
    : machine_(std::move(machine)),
      root_(root.path),
      root_inode_(root.cgroup != nullptr ? root.cgroup->inode : 0) {}

/// cgroup.events of one cgroup, held open.
class FakeCgroupHost::EventsWatch final : public Watch {
 public:
  EventsWatch(std::shared_ptr<Machine> machine, const Cgroup& cgroup)
      : machine_(std::move(machine)), path_(cgroup.path()), inode_(cgroup.inode) {}

  Result<std::string> read() override {
    const Cgroup* cgroup = machine_->locate(path_);
    if (cgroup == nullptr || cgroup->inode != inode_)
      return os_error(ENODEV, "read", path_ + "/cgroup.events");
    return machine_->events(*cgroup);
  }
  int descriptor() const override { return -1; }
  void wait(std::chrono::milliseconds limit) override { machine_->pass(limit); }

 private:
  std::shared_ptr<Machine> machine_;
  std::string path_;
  std::uint64_t inode_;
};

FakeCgroupHost::~FakeCgroupHost() = default;

void FakeCgroupHost::make_cgroup(const std::string& cgroup) {
  Cgroup* at = &machine_->root;
  for (const std::string& name : components(cgroup)) {
    if (name.empty()) continue;
    const auto child = at->children.find(name);
    at = child == at->children.end() ? &machine_->add(*at, name) : child->second.get();
  }
}

void FakeCgroupHost::destroy_cgroup(const std::string& cgroup) {
  Cgroup& doomed = machine_->demand(cgroup);
  std::erase_if(machine_->processes, [&doomed](const auto& process) {
    return process.second.cgroup->is_or_is_below(&doomed);
  });
  doomed.parent->children.erase(doomed.name);
}

void FakeCgroupHost::delegate(const std::string& cgroup,
                              const std::vector<std::string>& controllers) {
  machine_->demand(cgroup).enabled = {controllers.begin(), controllers.end()};
}

void FakeCgroupHost::make_threaded(const std::string& cgroup) {
  machine_->demand(cgroup).threaded = true;
}

void FakeCgroupHost::turn_pressure_off(const std::string& cgroup) {
  machine_->demand(cgroup).pressure = false;
}

bool FakeCgroupHost::exists(const std::string& cgroup) const {
  return machine_->locate(cgroup) != nullptr;
}

std::string FakeCgroupHost::type_of(const std::string& cgroup) const {
  return machine_->type(machine_->demand(cgroup));
}

std::vector<std::string> FakeCgroupHost::delegated(const std::string& cgroup) const {
  const auto& enabled = machine_->demand(cgroup).enabled;
  return {enabled.begin(), enabled.end()};
}

void FakeCgroupHost::mark(const std::string& cgroup, const std::string& attribute,
                          const std::string& value) {
  machine_->demand(cgroup).attributes[attribute] = value;
}

std::string FakeCgroupHost::mark_of(const std::string& cgroup, const std::string& attribute) const {
  const auto& attributes = machine_->demand(cgroup).attributes;
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? std::string{} : found->second;
}

std::vector<std::string> FakeCgroupHost::cgroups() const {
  std::vector<std::string> paths;
  std::deque<const Cgroup*> pending{&machine_->root};
  for (; !pending.empty(); pending.pop_front())
    for (const auto& [_, child] : pending.front()->children) {
      paths.push_back(child->path());
      pending.push_back(child.get());
    }
  std::sort(paths.begin(), paths.end());
  return paths;
}

int FakeCgroupHost::start_process(const std::string& cgroup, const std::string& command) {
  machine_->processes[++machine_->last_pid] = {.command = command,
                                               .cgroup = &machine_->demand(cgroup),
                                               .start_time = ++machine_->last_start};
  return machine_->last_pid;
}

void FakeCgroupHost::start_foreign_process(const std::string& cgroup) {
  machine_->processes[--machine_->last_foreign] = {.command = "foreign",
                                                   .cgroup = &machine_->demand(cgroup)};
}

void FakeCgroupHost::end_process(int pid) {
  machine_->processes.erase(pid);
}

void FakeCgroupHost::make_unkillable(int pid) {
  machine_->processes.at(pid).unkillable = true;
}

void FakeCgroupHost::begin_exit(int pid, std::chrono::milliseconds duration) {
  machine_->processes.at(pid).gone_at = machine_->clock + duration;
}

void FakeCgroupHost::make_kernel_thread(int pid) {
  machine_->processes.at(pid).kernel_thread = true;
}

void FakeCgroupHost::refuse_move(int pid, int error_number, int times) {
  machine_->processes.at(pid).refusal = error_number;
  machine_->processes.at(pid).refusals = times;
}

std::string FakeCgroupHost::cgroup_of(int pid) const {
  const auto process = machine_->processes.find(pid);
  return process == machine_->processes.end() ? std::string{} : process->second.cgroup->path();
}

bool FakeCgroupHost::is_frozen(const std::string& cgroup) const {
  return machine_->demand(cgroup).frozen;
}

void FakeCgroupHost::remove_kill_file() {
  machine_->has_kill_file = false;
}

void FakeCgroupHost::pass(std::chrono::milliseconds time) {
  machine_->pass(time);
}

void FakeCgroupHost::use_processor(const std::string& cgroup) {
  ++machine_->demand(cgroup).usage;
}

void FakeCgroupHost::live_in(const std::string& cgroup) {
  machine_->processes.at(::getpid()).cgroup = &machine_->demand(cgroup);
}

std::string FakeCgroupHost::own_cgroup() const {
  return machine_->processes.at(::getpid()).cgroup->path();
}

void FakeCgroupHost::set_namespace_root(const std::string& cgroup) {
  machine_->namespace_root = &machine_->demand(cgroup);
}

void FakeCgroupHost::set_mounted(const std::string& cgroup) {
  machine_->tree_mount()->root = &machine_->demand(cgroup);
}

void FakeCgroupHost::mount_read_only(bool read_only) {
  machine_->tree_mount()->read_only = read_only;
}

void FakeCgroupHost::make_v1() {
  const std::string base = tree_mount_point;
  machine_->mounts = {{"/", "ext4", ext4_magic}, {base, "tmpfs", tmpfs_magic}};
  for (const std::string name : {"cpu", "memory", "pids"}) {
    add_directory(joined(base, name));
    machine_->mounts.push_back({joined(base, name), "cgroup", cgroup1_magic});
  }
}

void FakeCgroupHost::make_hybrid() {
  make_v1();
  const std::string unified = std::string{tree_mount_point} + "/unified";
  add_directory(unified);
  machine_->mounts.push_back({unified, "cgroup2", cgroup2_magic, &machine_->root});
}

void FakeCgroupHost::claim_own_path(const std::string& path) {
  machine_->claimed_path = path;
}

void FakeCgroupHost::claim_mountinfo(const std::string& text) {
  machine_->claimed_mountinfo = text;
}

void FakeCgroupHost::refuse(const std::string& controller, int error_number) {
  if (error_number == 0)
    machine_->refused.erase(controller);
  else
    machine_->refused[controller] = error_number;
}

void FakeCgroupHost::withdraw_from_root(const std::string& controller) {
  machine_->root.enabled.erase(controller);
}

void FakeCgroupHost::add_file(const std::string& path, const std::string& text) {
  machine_->add_plain(path, {.kind = FileKind::regular, .text = text, .target = {}, .inode = 0});
}

void FakeCgroupHost::add_directory(const std::string& path) {
  machine_->add_plain(path, {.kind = FileKind::directory, .text = {}, .target = {}, .inode = 0});
}

void FakeCgroupHost::add_link(const std::string& path, const std::string& target) {
  machine_->add_plain(
      path, {.kind = FileKind::other, .text = {}, .target = target, .inode = 0, .is_link = true});
}

void FakeCgroupHost::add_tmpfs(const std::string& path) {
  add_directory(path);
  machine_->mounts.push_back({path, "tmpfs", tmpfs_magic});
}

void FakeCgroupHost::fail(Op op, const std::string& path, int error_number, int times) {
  machine_->failures.push_back({op, path, error_number, times});
}

void FakeCgroupHost::before(Op op, const std::string& path, std::function<void()> action) {
  machine_->interruptions.push_back({op, path, std::move(action)});
}

std::vector<std::string> FakeCgroupHost::calls(Op op) const {
  std::vector<std::string> texts;
  for (const Machine::Call& call : machine_->calls)
    if (call.op == op) texts.push_back(call.text);
  return texts;
}

int FakeCgroupHost::pauses() const {
  return machine_->pauses;
}

Error FakeCgroupHost::failed(int error_number, const char* op, PathRef path) const {
  const std::string_view text{path.c_str()};
  if (root_.empty()) return os_error(error_number, op, std::string{text});
  return os_error(error_number, op, text == "." ? root_ : joined(root_, text));
}

Result<void> FakeCgroupHost::begin(Op op, PathRef path, std::string_view text) const {
  Machine& machine = *machine_;
  const std::string_view given{path.c_str()};
  std::string full = root_.empty() ? std::string{given} : joined(root_, given);
  if (!root_.empty() && given == ".") full = root_;
  if (op == Op::kill) full = given;  // a process has no place in the tree
  machine.calls.push_back({op, text.empty() ? full : full + ": " + std::string{text}});

  const auto interruption =
      std::find_if(machine.interruptions.begin(), machine.interruptions.end(),
                   [&](const auto& one) { return one.op == op && one.path == full; });
  if (interruption != machine.interruptions.end()) {
    const auto action = std::move(interruption->action);
    machine.interruptions.erase(interruption);
    action();
  }
  for (Machine::Failure& failure : machine.failures)
    if (failure.op == op && failure.path == full && failure.times > 0) {
      if (failure.times != always) --failure.times;
      return failed(failure.error_number, name_of(op), path);
    }
  machine.refresh_proc();
  if (root_inode_ != 0) {
    const auto root = machine.lookup(root_);
    if (!root || root->cgroup == nullptr || root->cgroup->inode != root_inode_)
      return failed(ENOENT, name_of(op), path);
  }
  return {};
}

Result<FakeCgroupHost::Target> FakeCgroupHost::find(Op op, PathRef path,
                                                    std::string_view text) const {
  if (const auto begun = begin(op, path, text); !begun) return begun.error();
  Target target;
  if (const int error = machine_->walk(root_, path.c_str(), target); error != 0)
    return failed(error, "open", path);
  return target;
}

Result<FakeCgroupHost::Target> FakeCgroupHost::find_parent(Op op, PathRef path,
                                                           std::string& name) const {
  if (const auto begun = begin(op, path, {}); !begun) return begun.error();
  const std::string text = path.c_str();
  const auto slash = text.rfind('/');
  name = slash == std::string::npos ? text : text.substr(slash + 1);
  const std::string parent = slash == std::string::npos ? "." : text.substr(0, slash + 1);
  Target target;
  int error = machine_->walk(root_, parent, target);
  if (error == 0 && !target.is_directory()) error = ENOTDIR;
  if (error == 0 && name.empty()) error = ENOENT;
  if (error != 0) return failed(error, "open", path);
  return target;
}

Result<std::string> FakeCgroupHost::read(PathRef path) const {
  const auto target = find(Op::read, path);
  if (!target) return target.error();
  if (target->is_directory()) return failed(EISDIR, "read", path);
  if (target->plain != nullptr) return target->plain->text;
  std::string text;
  if (const int error = machine_->read(*target->cgroup, target->file, text); error != 0)
    return failed(error, "read", path);
  return text;
}

Result<std::vector<DirectoryEntry>> FakeCgroupHost::list(PathRef path) const {
  const auto target = find(Op::list, path);
  if (!target) return target.error();
  if (!target->is_directory()) return failed(ENOTDIR, "open", path);
  std::map<std::string, bool> entries;
  std::map<std::string, std::uint64_t> inodes;
  if (target->cgroup != nullptr) {
    for (const auto& [name, child] : target->cgroup->children) {
      entries[name] = true;
      inodes[name] = child->inode;
    }
    for (const char* name : {"cgroup.controllers", "cgroup.events", "cgroup.freeze", "cgroup.kill",
                             "cgroup.max.depth", "cgroup.max.descendants", "cgroup.procs",
                             "cgroup.subtree_control", "cgroup.threads", "cgroup.type", "cpu.stat"})
      if (machine_->has_file(*target->cgroup, name)) entries[name] = false;
  } else {
    for (const auto& [at, node] : machine_->plain)
      if (at != "/" && parent_of(at) == target->path)
        entries[at.substr(at.rfind('/') + 1)] = node.kind == FileKind::directory;
  }
  std::vector<DirectoryEntry> list;
  for (const auto& [name, is_directory] : entries)
    list.push_back({name, is_directory, inodes.contains(name) ? inodes[name] : 0});
  return list;
}

Result<FileInfo> FakeCgroupHost::stat(PathRef path) const {
  const auto target = find(Op::stat, path);
  if (!target) return target.error();
  FileInfo info;
  info.kind = target->is_directory() ? FileKind::directory : FileKind::regular;
  if (target->plain != nullptr)
    info.inode = target->plain->inode;
  else if (target->file.empty())
    info.inode = target->cgroup->inode;
  else  // no two files have the same, and none that of a directory
    info.inode = (std::hash<std::string>{}(target->path) | 1ULL << 62);
  if (target->cgroup != nullptr)
    info.changed_at = std::chrono::system_clock::time_point{target->cgroup->made_at};
  return info;
}

Result<FileSystem> FakeCgroupHost::file_system(PathRef path) const {
  const auto target = find(Op::statfs, path);
  if (!target) return target.error();
  return FileSystem{.magic = target->mount->magic, .read_only = target->mount->read_only};
}

Result<FileInfo> FakeCgroupHost::try_open(PathRef path) const {
  const auto target = find(Op::open, path);
  if (!target) return target.error();
  if (target->is_directory()) return failed(EISDIR, "open", path);
  if (target->mount->read_only) return failed(EROFS, "open", path);
  return FileInfo{.kind = FileKind::regular};
}

Result<void> FakeCgroupHost::access(PathRef path, int mode, As) const {
  const auto target = find(Op::access, path);
  if (!target) return target.error();
  if ((mode & W_OK) != 0 && target->mount->read_only) return failed(EROFS, "access", path);
  return {};
}

Result<std::string> FakeCgroupHost::attribute(PathRef path, const char* name) const {
  const auto target = find(Op::getxattr, path);
  if (!target) return target.error();
  if (!std::string_view{name}.starts_with("user.")) return failed(EOPNOTSUPP, "getxattr", path);
  if (target->cgroup != nullptr)
    if (const auto found = target->cgroup->attributes.find(name);
        found != target->cgroup->attributes.end())
      return found->second;
  return failed(ENODATA, "getxattr", path);
}

Result<std::string> FakeCgroupHost::find_directory(std::uint64_t inode) const {
  const auto target = find(Op::find, ".");
  if (!target) return target.error();
  if (target->cgroup == nullptr) return failed(ESTALE, "open_by_handle_at", ".");
  std::deque<const Cgroup*> pending{&machine_->root};
  for (; !pending.empty(); pending.pop_front()) {
    const Cgroup* at = pending.front();
    for (const auto& [_, child] : at->children) pending.push_back(child.get());
    if (at->inode != inode) continue;
    if (at == target->cgroup) return std::string{};
    if (!at->is_or_is_below(target->cgroup)) return failed(EXDEV, "open_by_handle_at", ".");
    const std::string base = target->cgroup->parent == nullptr ? "" : target->cgroup->path();
    return at->path().substr(base.size() + 1);
  }
  return failed(ESTALE, "open_by_handle_at", ".");
}

Result<void> FakeCgroupHost::make_directory(PathRef path) {
  std::string name;
  const auto parent = find_parent(Op::mkdir, path, name);
  if (!parent) return parent.error();
  int error = 0;
  if (name == "." || name == ".." || machine_->lookup(joined(parent->path, name)))
    error = EEXIST;  // even on a read-only file system
  else if (parent->mount->read_only)
    error = EROFS;
  else if (parent->cgroup != nullptr)
    error = machine_->make(*parent->cgroup, name);
  else  // an ordinary directory, which on the tmpfs of a hybrid host means nothing
    add_directory(joined(parent->path, name));
  if (error != 0) return failed(error, "mkdir", path);
  return {};
}

Result<void> FakeCgroupHost::remove_directory(PathRef path) {
  std::string name;
  const auto parent = find_parent(Op::rmdir, path, name);
  if (!parent) return parent.error();
  int error = 0;
  if (name == ".")
    error = EINVAL;
  else if (name == "..")
    error = ENOTEMPTY;
  else if (parent->mount->read_only)
    error = EROFS;  // also for what is not there
  else if (parent->cgroup != nullptr)
    error = machine_->remove(*parent->cgroup, name);
  else
    error = machine_->plain.erase(joined(parent->path, name)) == 0 ? ENOENT : 0;
  if (error != 0) return failed(error, "rmdir", path);
  return {};
}

Result<void> FakeCgroupHost::write(PathRef path, std::string_view text) {
  const auto target = find(Op::write, path, text);
  if (!target) return target.error();
  int error = 0;
  if (target->is_directory())
    error = EISDIR;
  else if (target->mount->read_only)
    error = EROFS;
  else if (target->plain != nullptr)
    target->plain->text = text;
  else
    error = machine_->write(*target->cgroup, target->file, text);
  if (error != 0) return failed(error, "write", path);
  return {};
}

Result<void> FakeCgroupHost::set_attribute(PathRef path, const char* name, std::string_view value) {
  const auto target = find(Op::setxattr, path);
  if (!target) return target.error();
  if (!target->is_directory()) return failed(ENOTDIR, "open", path);
  if (target->mount->read_only) return failed(EROFS, "setxattr", path);
  if (target->cgroup == nullptr || !std::string_view{name}.starts_with("user."))
    return failed(EOPNOTSUPP, "setxattr", path);
  target->cgroup->attributes[name] = value;
  return {};
}

Result<std::unique_ptr<Host>> FakeCgroupHost::enter(PathRef directory) const {
  const auto target = find(Op::enter, directory);
  if (!target) return target.error();
  if (!target->is_directory()) return failed(ENOTDIR, "open", directory);
  return std::unique_ptr<Host>{new FakeCgroupHost{machine_, *target}};
}

void FakeCgroupHost::pause(std::chrono::milliseconds time) {
  ++machine_->pauses;
  pass(time);
}

std::chrono::steady_clock::time_point FakeCgroupHost::now() const {
  return std::chrono::steady_clock::time_point{machine_->clock};
}

std::chrono::system_clock::time_point FakeCgroupHost::today() const {
  return std::chrono::system_clock::time_point{machine_->clock};
}

Result<std::unique_ptr<Watch>> FakeCgroupHost::watch(PathRef path) const {
  const auto target = find(Op::watch, path);
  if (!target) return target.error();
  if (target->cgroup == nullptr || target->file != "cgroup.events")
    return failed(EINVAL, "watch", path);
  return std::unique_ptr<Watch>{std::make_unique<EventsWatch>(machine_, *target->cgroup)};
}

Result<void> FakeCgroupHost::kill(int pid, const std::function<bool()>& confirm) {
  if (const auto begun = begin(Op::kill, std::to_string(pid), {}); !begun) return begun.error();
  const auto process = machine_->processes.find(pid);
  if (pid <= 0 || process == machine_->processes.end() || !confirm())
    return os_error(ESRCH, "kill", std::to_string(pid));
  if (!process->second.unkillable) machine_->processes.erase(process);
  return {};
}

}  // namespace surveyd::test
