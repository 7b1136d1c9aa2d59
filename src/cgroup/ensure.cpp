#include <algorithm>
#include <cerrno>
#include <utility>

#include "cgroup/hierarchy.hpp"
#include "cgroup/internals.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

using cgroup::child;
using cgroup::is;
using cgroup::is_gone;
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

// "+cpu +memory".
std::string changing(char sign, const Words& controllers) {
  std::string text;
  for (const std::string& controller : controllers)
    text += (text.empty() ? "" : " ") + (sign + controller);
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

// What a refused write of one controller says about it.
const char* reason_of(const Error& error) {
  switch (error.code.value()) {
    case ENOENT:
      return "not_offered_by_parent";
    case EACCES:
    case EPERM:
      return "not_permitted";
    case EROFS:
      return "read_only";
    case EBUSY:
      return "busy";
    default:  // EINVAL: cpu with real-time tasks, cpuset with pinned kernel threads, unknown here
      return "rejected";
  }
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

Result<EnsureReport> CgroupTree::ensure(Placement placement, Evacuate evacuate) {
  if (const auto opened = open(); !opened) return opened.error();
  if (placement == Placement::automatic) {
    const auto chosen = automatic_placement();
    if (!chosen) return chosen.error();
    placement = *chosen;
  }
  const auto site = site_of(placement);
  if (!site) return site.error();
  auto report = ensure_at(*site, evacuate);
  if (!report) return report;
  report->placement = placement;
  plan_.progress->ensured = placement;
  known_parent_.reset();
  return report;
}

Result<EnsureReport> CgroupTree::ensure_at(const Site& site, Evacuate evacuate) {
  if (const auto fits = check_root(site); !fits) return fits.error();
  if (site.is_ours) return divide_own(site, evacuate);
  Rollback made{*tree_};
  return conclude(try_to_ensure(site.levels(), made), made);
}

// The real root is where the host placement begins, and nothing else is; no scope does.
Result<void> CgroupTree::check_root(const Site& site) const {
  const bool needs_real_root = site.placement == Placement::host && plan_.base.empty();
  if (!site.base.empty() && !needs_real_root) return {};
  const auto real = is_real_root(site.base);
  if (!real) return real.error();
  if (*real == needs_real_root) return {};
  Error error{.code = Fault::no_usable_cgroup2, .op = "stat", .path = shown("cgroup.type")};
  // In a private cgroup namespace the root has a type, the no-internal-processes rule applies to
  // it, and a directory made there would not be where the name says.
  error.detail = needs_real_root
                     ? "host placement needs the root of the whole tree, and this is the root of a "
                       "private cgroup namespace; ask for placement \"scope\""
                     : "surveyd lives in the root cgroup and has no scope to divide; ask for "
                       "placement \"host\"";
  return error;
}

Result<bool> CgroupTree::is_real_root(const std::string& level) const {
  if (!level.empty()) return false;
  const auto type = tree_->stat("cgroup.type");
  if (type) return false;
  if (is(type.error(), ENOENT)) return true;
  return type.error();
}

Result<EnsureReport> CgroupTree::try_to_ensure(const std::vector<std::string>& levels,
                                               Rollback& made) {
  auto report = ensure_levels(levels, made);
  // Somebody removed a level while we worked in it: a new attempt makes it again.
  for (int again = 0; again < 2 && !report && is_gone(report.error()); ++again)
    report = ensure_levels(levels, made);
  return report;
}

// Keeps what was made, or removes it and says what could not be undone.
Result<EnsureReport> CgroupTree::conclude(Result<EnsureReport> report, Rollback& made) const {
  if (report) {
    for (const std::string& path : made.keep()) report->created.push_back(shown(path));
    report->changed = !report->created.empty() || !made.still_enabled().empty();
    return report;
  }
  Error error = report.error();
  for (const std::string& path : made.undo())
    cgroup::add_detail(error, shown(path) + " was made and could not be removed again");
  // Not withdrawn: by now somebody else may rely on them.
  for (const auto& [level, names] : made.still_enabled())
    cgroup::add_detail(error, names + " stay enabled for the children of " + shown(level));
  return error;
}

Result<EnsureReport> CgroupTree::ensure_levels(const std::vector<std::string>& levels,
                                               Rollback& made) {
  const auto wanted = read_words(*tree_, child(levels.front(), "cgroup.controllers"));
  if (!wanted) return wanted.error();
  const std::string& parent = levels.back();

  std::vector<ControllerOutcome> refused;
  for (const std::string& level : levels) {
    if (&level != &levels.front())
      if (const auto present = make_level(level, made); !present) return present.error();
    if (const auto delegated = delegate(level, *wanted, made, refused); !delegated)
      return delegated.error();
  }

  // Nothing is reported that was not read back.
  const auto type = tree_->read(child(parent, "cgroup.type"));
  if (!type) return type.error();
  if (parse::trimmed(*type) != "domain") {
    Error error{.code = Fault::not_a_domain, .op = "read", .path = shown(parent)};
    error.detail = "its cgroup.type is \"" + std::string{parse::trimmed(*type)} +
                   "\": containers need a domain, and this cannot be undone from here";
    return error;
  }
  const auto enabled = read_words(*tree_, child(parent, "cgroup.subtree_control"));
  if (!enabled) return enabled.error();

  EnsureReport report;
  report.container_parent = shown(parent);
  for (const std::string& name : *wanted) {
    if (contains(*enabled, name)) {
      report.controllers.push_back({.name = name, .enabled = true});
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
    return error;
  }
  return report;
}

Result<void> CgroupTree::make_level(const std::string& path, Rollback& made) {
  // Looked at first: ordinarily it is there, and mkdir would take the parent's lock for nothing.
  const auto is_there = [&]() -> Result<bool> {
    const auto info = tree_->stat(path);
    if (!info && is(info.error(), ENOENT)) return false;
    if (!info) return info.error();
    if (info->kind == FileKind::directory) return true;
    return os_error(ENOTDIR, "mkdir", shown(path));
  };
  const auto before = is_there();
  if (!before) return before.error();
  if (*before) return {};
  const auto result = tree_->make_directory(path);
  if (result) {
    made.made(path);
    return {};
  }
  Error error = result.error();
  if (is(error, EEXIST)) {  // somebody was faster
    const auto now = is_there();
    if (!now) return now.error();
    if (*now) return {};
  }
  error.detail = explain_mkdir(error);
  return error;
}

Result<void> CgroupTree::delegate(const std::string& level, const Words& wanted, Rollback& made,
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

  const auto real_root = is_real_root(level);
  if (!real_root) return real_root.error();
  const auto written = enable(level, missing, *real_root);
  if (!written) return written.error();

  Words taken;
  if (written->taken) {
    taken = missing;
  } else {
    Error error = written->refusal;
    switch (error.code.value()) {
      case EINVAL:
      case ENOENT:
      case EPERM:
        if (const auto there = tree_->stat(self(level)); !there) return there.error();
        taken = delegate_one_by_one(control, missing, outcomes);
        break;
      case EBUSY:
        if (!*real_root) {
          Error occupied_error = no_internal_processes(level, missing, {});
          occupied_error.refusal = error.code;
          return occupied_error;
        }
        [[fallthrough]];
      case EACCES:
      case EROFS:
        for (const std::string& name : missing) record(outcomes, name, reason_of(error), error);
        break;
      default:
        error.op = "write " + changing('+', missing);
        if (is(error, EOPNOTSUPP)) {
          error.refusal = std::exchange(error.code, Fault::not_a_domain);
          error.detail = "the cgroup or one above it is threaded";
        }
        return error;
    }
  }
  if (taken.empty() || *real_root) {
    if (!taken.empty()) made.enabled(level, parse::joined(taken));
    return {};
  }
  return keep_domain(level, taken, made);
}

// The combined write, once nobody lives in the cgroup; `Fault::occupied` names those who do.
Result<CgroupTree::Written> CgroupTree::enable(const std::string& level, const Words& missing,
                                               bool is_real_root) {
  constexpr int longest = 1000;  // milliseconds
  for (int waited = 0;; ++waited) {
    // Looked at before anything is written: over resident processes the kernel would accept cpu,
    // cpuset, pids and perf_event, make this cgroup a thread root, and every child of it invalid as
    // a domain.
    auto residents = is_real_root ? std::vector<Process>{} : processes_of(level);
    // In a threaded cgroup they cannot be listed, and the write is refused.
    if (!residents && is(residents.error(), EOPNOTSUPP)) residents = std::vector<Process>{};
    if (!residents) return residents.error();
    const bool leaving = std::all_of(residents->begin(), residents->end(),
                                     [](const Process& resident) { return resident.exiting; });
    if (!leaving || (!residents->empty() && waited == longest))
      return no_internal_processes(level, missing, std::move(*residents));
    if (residents->empty()) {
      auto written = tree_->write(child(level, "cgroup.subtree_control"), changing('+', missing));
      // Processes that left a moment ago keep it busy for an instant.
      if (written) return Written{.taken = true};
      if (!is(written.error(), EBUSY) || is_real_root || waited == longest)
        return Written{.taken = false, .refusal = written.error()};
    }
    tree_->pause(std::chrono::milliseconds{1});
  }
}

// A process that came in between the look and the write makes a thread root of it after all.
Result<void> CgroupTree::keep_domain(const std::string& level, const Words& taken, Rollback& made) {
  made.enabled(level, parse::joined(taken));
  const auto type = tree_->read(child(level, "cgroup.type"));
  // What cannot be read is no domain for certain.
  if (!type) return type.error();
  if (parse::trimmed(*type) == "domain") return {};
  const auto residents = processes_of(level);
  Error error{.code = Fault::not_a_domain, .op = "write " + changing('+', taken)};
  error.path = shown(level);
  error.detail = "the cgroup or one below it is threaded";
  if (residents && !residents->empty()) error = no_internal_processes(level, taken, *residents);
  if (tree_->write(child(level, "cgroup.subtree_control"), changing('-', taken)))
    made.disabled(level);
  return error;
}

Error CgroupTree::no_internal_processes(const std::string& level, const Words& missing,
                                        std::vector<Process> residents) const {
  Error error{
      .code = Fault::occupied, .op = "write " + changing('+', missing), .path = shown(level)};
  error.detail =
      "the no-internal-processes rule: a cgroup with processes of its own cannot delegate "
      "controllers";
  error.processes = std::move(residents);
  return error;
}

// The combined write is all or nothing: this finds out which ones it was. Those that were taken.
Words CgroupTree::delegate_one_by_one(const std::string& control, const Words& missing,
                                      std::vector<ControllerOutcome>& outcomes) {
  Words taken;
  for (const std::string& name : missing) {
    const auto one = tree_->write(control, "+" + name);
    if (one)
      taken.push_back(name);
    else
      record(outcomes, name, reason_of(one.error()), one.error());
  }
  return taken;
}

}  // namespace surveyd
