#include "run/cgroup_monitor.hpp"

#include <algorithm>
#include <optional>

#include <boost/asio/post.hpp>
#include <fcntl.h>

#include "parse/words.hpp"
#include "run/worker.hpp"

namespace surveyd::run {

using std::chrono::steady_clock;

namespace {

// Somebody who writes all the time must not keep us surveying all the time.
constexpr std::chrono::milliseconds between_changes{50};
constexpr std::chrono::seconds between_counts{1};
constexpr std::chrono::seconds between_repairs{5};

ContainerCounts count(const ContainerList& list) {
  ContainerCounts counts;
  for (const ContainerCgroup& container : list.containers) {
    ++(container.populated  ? counts.populated
       : container.orphaned ? counts.orphaned
                            : counts.empty);
  }
  return counts;
}

}  // namespace

/// What one look on the worker brought.
struct CgroupMonitor::Look {
  std::optional<ContainerCounts> counts;
  std::optional<Error> blind;
  bool is_new = false;  ///< nothing would have told of changes since the survey
};

CgroupMonitor::CgroupMonitor(boost::asio::any_io_executor executor, CgroupTree& tree,
                             Worker& worker, Hooks hooks)
    : executor_(executor),
      tree_(tree),
      worker_(worker),
      hooks_(std::move(hooks)),
      changes_(std::make_shared<FileChanges>()),
      inotify_(executor),
      calm_(executor),
      next_repair_(executor) {
  if (const auto opened = changes_->open(); !opened) {
    is_blind_ = true;
    if (hooks_.blind) hooks_.blind(opened.error());
    return;
  }
  const int copy = ::fcntl(changes_->descriptor(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return;
  inotify_.assign(copy);
  await_changes();
}

void CgroupMonitor::await_changes() {
  inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        if (changes_->drain() && hooks_.changed) hooks_.changed();
                        calm_.expires_after(between_changes);
                        calm_.async_wait([this](const boost::system::error_code& stopped) {
                          if (!stopped) await_changes();
                        });
                      });
}

void CgroupMonitor::surveyed(const Survey& survey) {
  expect(survey);
  look();
}

void CgroupMonitor::ensured(const EnsureReport& report, std::uint64_t begun) {
  outdated_ = begun;
  expected_.clear();
  reported_.clear();
  for (const ControllerOutcome& one : report.controllers)
    if (one.enabled) expected_.insert(one.name);
}

void CgroupMonitor::expect(const Survey& survey) {
  if (survey.findings.status("cgroup_delegation") == Status::unknown) return;
  if (survey.run.generation <= outdated_) return;
  const auto words = parse::words(survey.findings.value("cgroup_delegation"));
  const std::set<std::string> delegated{words.begin(), words.end()};
  expected_.insert(delegated.begin(), delegated.end());
  std::erase_if(reported_, [&](const std::string& name) { return delegated.contains(name); });

  std::vector<std::string> lost;
  std::set_difference(expected_.begin(), expected_.end(), delegated.begin(), delegated.end(),
                      std::back_inserter(lost));
  if (lost.empty()) return;
  std::vector<std::string> news;
  for (const std::string& name : lost)
    if (reported_.insert(name).second) news.push_back(name);
  if (!news.empty() && hooks_.lost) hooks_.lost(news);
  const auto now = steady_clock::now();
  if (!hooks_.repair) return;
  if (now - repaired_at_ < between_repairs) {
    // Too soon after the last one: looked at again as soon as it may be.
    next_repair_.expires_at(repaired_at_ + between_repairs);
    next_repair_.async_wait([this](const boost::system::error_code& error) {
      if (!error && hooks_.changed) hooks_.changed();
    });
    return;
  }
  repaired_at_ = now;
  hooks_.repair();
}

// The levels may have been made, removed or exchanged since the last time.
void CgroupMonitor::look() {
  if (looking_) return;
  const auto now = steady_clock::now();
  const bool counting = now - counted_at_ >= between_counts;
  if (counting) counted_at_ = now;
  looking_ = true;
  worker_.post([this, counting, executor = executor_, changes = changes_] {
    Look seen;
    try {
      seen = take_look(*changes, counting);
    } catch (const std::exception&) {
      // Out of memory: the next survey looks again.
    }
    boost::asio::post(executor, [this, seen = std::move(seen)] {
      looking_ = false;
      if (seen.counts && hooks_.counted) hooks_.counted(*seen.counts);
      if (seen.is_new && hooks_.changed) hooks_.changed();
      if (seen.blind && !std::exchange(is_blind_, true) && hooks_.blind) hooks_.blind(*seen.blind);
    });
  });
}

// On the worker.
CgroupMonitor::Look CgroupMonitor::take_look(FileChanges& changes, bool counting) {
  Look seen;
  if (const auto parent = tree_.inspect_container_parent()) {
    std::set<std::string> paths;
    for (const std::string& level : parent->levels) {
      paths.insert(level + "/cgroup.subtree_control");
      // Tells when the next level is removed; in the last one containers come and go.
      if (level != parent->levels.back()) paths.insert(level);
    }
    const auto watched = changes.watch(paths);
    if (watched)
      seen.is_new = *watched;
    else
      seen.blind = watched.error();
  }
  if (counting)
    if (const auto list = tree_.survey_containers()) seen.counts = count(*list);
  return seen;
}

}  // namespace surveyd::run
