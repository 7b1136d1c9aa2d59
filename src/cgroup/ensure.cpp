#include <algorithm>
#include <cerrno>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using cgroup::child;
using cgroup::is;
using cgroup::self;
using Words = std::vector<std::string>;

bool contains(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Result<Words> read_words(const Host& tree, const std::string& path) {
  const auto text = tree.read(path);
  if (!text) return text.error();
  return parse::words(*text);
}

std::string enabling(const Words& controllers) {
  std::string text;
  for (const std::string& controller : controllers)
    text += (text.empty() ? "+" : " +") + controller;
  return text;
}

void record(std::vector<ControllerOutcome>& outcomes, const std::string& name, const char* reason,
            const Error& error) {
  const auto known =
      std::find_if(outcomes.begin(), outcomes.end(),
                   [&name](const ControllerOutcome& outcome) { return outcome.name == name; });
  // The outermost level that refuses is the cause of all that follows further in.
  if (known == outcomes.end()) outcomes.push_back({name, false, reason, error.code, error.path});
}

const char* explain_mkdir(const Error& error) {
  switch (error.code.value()) {
    case EAGAIN:
      return "cgroup.max.depth or cgroup.max.descendants of an ancestor is reached";
    case ENOSPC:
      return "the kernel is out of cgroup ids: removed cgroups may still be dying";
    case EROFS:
      return "the cgroup file system is mounted read-only here";
    case EACCES:
    case EPERM:
      return "this cgroup is not delegated to the user that surveyd runs as";
    default:
      return "";
  }
}

}  // namespace

Result<EnsureReport> CgroupTree::ensure(Placement placement) {
  if (const auto opened = open(); !opened) return opened.error();
  if (placement == Placement::automatic) {
    const auto chosen = automatic_placement();
    if (!chosen) return chosen.error();
    placement = *chosen;
  }
  return placement == Placement::host ? ensure_host_container_parent()
                                      : ensure_daemon_leaf_and_container_parent();
}

Result<EnsureReport> CgroupTree::ensure_host_container_parent() {
  if (const auto opened = open(); !opened) return opened.error();
  // In a private cgroup namespace the root has a type, the no-internal-processes rule applies to
  // it, and a directory made there would not be where the name says.
  if (tree_->stat("cgroup.type")) {
    Error error{.code = Fault::no_usable_cgroup2, .op = "stat", .path = shown("cgroup.type")};
    error.detail =
        "host placement needs the root of the whole tree, and this is the root of a private "
        "cgroup namespace; ask for placement \"scope\"";
    return error;
  }
  auto report = ensure_levels({"", cgroup_name_, child(cgroup_name_, "containers")});
  if (!report) return report;
  report->placement = Placement::host;
  ensured_ = Placement::host;
  return report;
}

Result<EnsureReport> CgroupTree::ensure_levels(const std::vector<std::string>& levels) {
  // Somebody removed a level while we worked in it: a new attempt makes it again. ENODEV comes from
  // a directory that is dying, ENOENT from one that is gone.
  const auto vanished = [](const Error& error) { return is(error, ENODEV) || is(error, ENOENT); };
  auto report = ensure_levels_once(levels);
  for (int again = 0; again < 2 && !report && vanished(report.error()); ++again)
    report = ensure_levels_once(levels);
  return report;
}

Result<EnsureReport> CgroupTree::ensure_levels_once(const std::vector<std::string>& levels) {
  const auto wanted = read_words(*tree_, child(levels.front(), "cgroup.controllers"));
  if (!wanted) return wanted.error();
  const std::string& parent = levels.back();

  Rollback made{*tree_};
  const auto failed = [&](Error error) {
    for (const std::string& path : made.undo())
      cgroup::add_detail(error, shown(path) + " was made and could not be removed again");
    return error;
  };
  std::vector<ControllerOutcome> refused;
  for (const std::string& level : levels) {
    if (&level != &levels.front())
      if (const auto present = make_level(level, made); !present) return failed(present.error());
    if (const auto delegated = delegate(level, *wanted, refused); !delegated)
      return failed(delegated.error());
  }

  // Nothing is reported that was not read back.
  const auto type = tree_->read(child(parent, "cgroup.type"));
  if (!type) return failed(type.error());
  if (parse::trimmed(*type) != "domain") {
    Error error{.code = Fault::not_a_domain, .op = "read", .path = shown(parent)};
    error.detail = "its cgroup.type is \"" + std::string{parse::trimmed(*type)} +
                   "\": containers need a domain, and this cannot be undone from here";
    return failed(error);
  }
  const auto enabled = read_words(*tree_, child(parent, "cgroup.subtree_control"));
  if (!enabled) return failed(enabled.error());

  EnsureReport report;
  report.container_parent = shown(parent);
  for (const std::string& name : *wanted) {
    if (contains(*enabled, name)) {
      report.controllers.push_back({name, true, {}, {}, {}});
      continue;
    }
    record(refused, name, "not_read_back", {.path = shown(parent)});
    report.controllers.push_back(
        *std::find_if(refused.begin(), refused.end(),
                      [&name](const ControllerOutcome& one) { return one.name == name; }));
  }
  // A parent to which everything was refused is no success. (One that was offered nothing is: its
  // containers still have a place of their own, and `controllers` is empty for all to see.)
  const bool any = std::any_of(report.controllers.begin(), report.controllers.end(),
                               [](const ControllerOutcome& one) { return one.enabled; });
  if (!any && !report.controllers.empty()) {
    const ControllerOutcome& first = report.controllers.front();
    Error error{.code = first.error, .op = "write +" + first.name, .path = first.path};
    if (!error.code) error.code = Fault::not_read_back;
    error.detail = "no controller can be delegated";
    return failed(error);
  }
  for (const std::string& path : made.keep()) report.created.push_back(shown(path));
  return report;
}

Result<void> CgroupTree::make_level(const std::string& path, Rollback& made) {
  const auto result = tree_->make_directory(path);
  if (result) {
    made.made(path);
    return {};
  }
  Error error = result.error();
  if (is(error, EEXIST)) {
    const auto info = tree_->stat(path);
    if (!info) return info.error();
    if (info->kind == FileKind::directory) return {};
    return os_error(ENOTDIR, "mkdir", error.path);
  }
  // On a read-only or foreign tree mkdir of what is there may say so before it says EEXIST.
  if (const auto info = tree_->stat(path); info && info->kind == FileKind::directory) return {};
  error.detail = explain_mkdir(error);
  return error;
}

Result<void> CgroupTree::delegate(const std::string& level, const Words& wanted,
                                  std::vector<ControllerOutcome>& outcomes) {
  const auto offered = read_words(*tree_, child(level, "cgroup.controllers"));
  if (!offered) return offered.error();
  const std::string control = child(level, "cgroup.subtree_control");
  const auto enabled = read_words(*tree_, control);
  if (!enabled) return enabled.error();

  Words missing;
  for (const std::string& name : wanted) {
    if (contains(*enabled, name)) continue;
    if (contains(*offered, name))
      missing.push_back(name);
    else
      record(outcomes, name, "not_offered_by_parent", {.path = shown(control)});
  }
  if (missing.empty()) return {};

  const bool real_root = level.empty() && !tree_->stat("cgroup.type");
  if (!real_root)
    if (auto residents = processes_of(level); !residents.empty())
      return no_internal_processes(level, missing, std::move(residents));
  auto written = tree_->write(control, enabling(missing));
  // Processes that left a moment ago keep it busy for an instant.
  for (int tries = 0; tries < 1000 && !written && is(written.error(), EBUSY) && !real_root;
       ++tries) {
    if (auto residents = processes_of(level); !residents.empty())
      return no_internal_processes(level, missing, std::move(residents));
    tree_->pause(std::chrono::milliseconds{1});
    written = tree_->write(control, enabling(missing));
  }
  if (written) return {};

  Error error = written.error();
  switch (error.code.value()) {
    case EINVAL:
    case ENOENT:
    case EPERM:
      if (const auto there = tree_->stat(self(level)); !there) return there.error();
      delegate_one_by_one(control, missing, outcomes);
      return {};
    case EBUSY:
      if (!real_root) return no_internal_processes(level, missing, {});
      [[fallthrough]];
    case EACCES:
    case EROFS:
      for (const std::string& name : missing) record(outcomes, name, "refused", error);
      return {};
    default:
      error.op = "write " + enabling(missing);
      if (is(error, EOPNOTSUPP)) {
        error.code = Fault::not_a_domain;
        error.detail = "the cgroup or one above it is threaded";
      }
      return error;
  }
}

// Looked at before anything is written: over resident processes the kernel would accept cpu,
// cpuset, pids and perf_event, make this cgroup a thread root, and every child of it invalid as a
// domain.
Error CgroupTree::no_internal_processes(const std::string& level, const Words& missing,
                                        std::vector<Process> residents) const {
  Error error{.code = Fault::occupied, .op = "write " + enabling(missing), .path = shown(level)};
  error.detail =
      "the no-internal-processes rule: a cgroup with processes of its own cannot delegate "
      "controllers";
  error.processes = std::move(residents);
  return error;
}

// The combined write is all or nothing: this finds out which ones it was.
void CgroupTree::delegate_one_by_one(const std::string& control, const Words& missing,
                                     std::vector<ControllerOutcome>& outcomes) {
  for (const std::string& name : missing) {
    const auto one = tree_->write(control, "+" + name);
    if (one) continue;
    const bool not_offered = is(one.error(), ENOENT);
    record(outcomes, name, not_offered ? "not_offered_by_parent" : "refused", one.error());
  }
}

}  // namespace surveyd
