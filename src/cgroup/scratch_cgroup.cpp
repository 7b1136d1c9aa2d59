#include "cgroup/scratch_cgroup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>

#include <unistd.h>

#include "cgroup/internals.hpp"
#include "parse/proc_stat.hpp"
#include "parse/words.hpp"

namespace surveyd::cgroup {
namespace {

constexpr std::chrono::seconds longest_dying{1};
// No trial lasts so long: whoever made it cannot be asked, and has ended.
constexpr std::chrono::seconds oldest{60};

/// Who made a scratch cgroup, as its name says: `<pid namespace>-<pid>-<start time>`. Zeros where
/// /proc does not tell.
struct Maker {
  std::uint64_t pid_namespace = 0;
  std::uint64_t pid = 0;
  std::uint64_t start_time = 0;

  [[nodiscard]] std::string name() const {
    return std::string{scratch_prefix} + std::to_string(pid_namespace) + "-" + std::to_string(pid) +
           "-" + std::to_string(start_time);
  }
};

std::uint64_t own_pid_namespace(const Host& host) {
  const auto info = host.stat("/proc/self/ns/pid");
  return info ? info->inode : 0;
}

// 0 when there is no such process, or no telling.
std::uint64_t start_time_of(const Host& host, std::uint64_t pid) {
  const auto text = host.read("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return 0;
  const auto stat = parse::process_stat(*text);
  return stat ? stat->start_time : 0;
}

std::optional<Maker> maker_of(std::string_view name) {
  if (!is_scratch(name)) return std::nullopt;
  std::string_view rest = name.substr(scratch_prefix.size());
  std::array<std::uint64_t, 3> numbers{};
  for (std::uint64_t& number : numbers) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc{}) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.starts_with('-')) return std::nullopt;
    rest.remove_prefix(1);
  }
  return Maker{numbers[0], numbers[1], numbers[2]};
}

bool has_ended(const Host& host, const Host& place, const std::string& name) {
  const auto maker = maker_of(name);
  if (!maker) return false;
  // A pid means something in its own namespace only, and nothing without /proc.
  const std::uint64_t here = own_pid_namespace(host);
  if (maker->start_time != 0 && here != 0 && maker->pid_namespace == here)
    return start_time_of(host, maker->pid) != maker->start_time;
  const auto info = place.stat(name);
  return info && place.today() - info->changed_at > oldest;
}

void sweep(const Host& host, Host& place) {
  const auto entries = place.list(".");
  if (!entries) return;
  for (const DirectoryEntry& entry : *entries)
    // One that is populated or has children stays: rmdir(2) refuses.
    if (entry.is_directory && is_scratch(entry.name) && has_ended(host, place, entry.name))
      (void)place.remove_directory(entry.name);
}

Result<std::unique_ptr<Host>> enter_cgroup(const Host& host, const std::string& path) {
  auto entered = host.enter(path);
  if (!entered) return entered;
  // Proved on the descriptor that is kept. On the tmpfs of a hybrid host mkdir would succeed too.
  const auto file_system = (*entered)->file_system(".");
  if (!file_system) return file_system.error();
  if (file_system->magic == cgroup2_magic) return entered;
  Error error{.code = Fault::no_usable_cgroup2, .op = "statfs", .path = path};
  error.detail = "not a cgroup v2 file system";
  return error;
}

}  // namespace

void sweep_scratch(const Host& host, const std::string& place) {
  if (const auto entered = enter_cgroup(host, place)) sweep(host, **entered);
}

Result<ScratchCgroup> ScratchCgroup::make(const Host& host, const std::string& place) {
  auto entered = enter_cgroup(host, place);
  if (!entered) return entered.error();
  sweep(host, **entered);
  const auto pid = static_cast<std::uint64_t>(::getpid());
  const std::string stem =
      Maker{own_pid_namespace(host), pid, start_time_of(host, pid)}.name() + "-";
  // One process may have several, and without /proc the name of one may be taken by a leftover.
  constexpr int most = 64;
  for (int count = 1;; ++count) {
    const std::string name = stem + std::to_string(count);
    const auto made = (*entered)->make_directory(name);
    if (!made && is(made.error(), EEXIST) && count < most) continue;
    if (!made) return made.error();
    auto inside = (*entered)->enter(name);
    if (inside) return ScratchCgroup{std::move(*entered), std::move(*inside), name};
    (void)(*entered)->remove_directory(name);
    return inside.error();
  }
}

ScratchCgroup::~ScratchCgroup() {
  if (!place_ || name_.empty()) return;
  (void)kill();
  (void)remove();
}

Result<std::string> ScratchCgroup::read(const std::string& file) const {
  return inside_->read(file);
}

Result<void> ScratchCgroup::write(const std::string& file, std::string_view text) {
  return inside_->write(file, text);
}

Result<std::vector<std::string>> ScratchCgroup::controllers() const {
  const auto text = inside_->read("cgroup.controllers");
  if (!text) return text.error();
  return parse::words(*text);
}

Result<void> ScratchCgroup::enable(const std::string& controller) {
  const char* const file = "cgroup.subtree_control";
  if (auto written = inside_->write(file, "+" + controller); !written) return written;
  const auto text = inside_->read(file);
  if (!text) return text.error();
  const auto enabled = parse::words(*text);
  if (std::find(enabled.begin(), enabled.end(), controller) != enabled.end()) return {};
  return Error{.code = Fault::not_read_back, .op = "write +" + controller, .path = file};
}

bool ScratchCgroup::lists(int pid) const {
  const auto text = inside_->read("cgroup.procs");
  if (!text) return false;
  const auto pids = parse::words(*text);
  return std::find(pids.begin(), pids.end(), std::to_string(pid)) != pids.end();
}

Result<void> ScratchCgroup::take_in(int pid) {
  const std::string number = std::to_string(pid);
  if (auto moved = inside_->write("cgroup.procs", number); !moved) return moved;
  members_.push_back(pid);
  if (lists(pid)) return {};
  return Error{.code = Fault::not_read_back, .op = "write " + number, .path = "cgroup.procs"};
}

// Linux before 5.14 has no cgroup.kill.
Result<void> ScratchCgroup::kill_members() {
  for (const int pid : members_) {
    auto killed = place_->kill(pid, [this, pid] { return lists(pid); });
    if (!killed && !is(killed.error(), ESRCH)) return killed;
  }
  return {};
}

Result<void> ScratchCgroup::kill() {
  // Open before anything is killed, so that no change is missed.
  const auto events = inside_->watch("cgroup.events");
  if (!events) return events.error();
  auto text = (*events)->read();
  if (text && is_populated(*text)) {
    auto killed = inside_->write("cgroup.kill", "1");
    if (!killed && is(killed.error(), ENOENT)) killed = kill_members();
    if (!killed) return killed;
    text = (*events)->read();
  }
  const auto until = place_->now() + longest_dying;
  for (; text && is_populated(*text); text = (*events)->read()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - place_->now());
    if (left.count() <= 0) return Error{.code = Fault::timed_out, .op = "kill", .path = name_};
    (*events)->wait(left);
  }
  if (!text) return text.error();
  return {};
}

Result<void> ScratchCgroup::remove() {
  auto removed = place_->remove_directory(name_);
  if (removed || is(removed.error(), ENOENT)) name_.clear();
  return removed;
}

}  // namespace surveyd::cgroup
