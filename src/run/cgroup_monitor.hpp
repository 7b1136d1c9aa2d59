#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/survey.hpp>

#include "host/file_changes.hpp"

namespace surveyd::run {

class Worker;

/// How many container cgroups there are, by what goes on in them.
struct ContainerCounts {
  std::size_t populated = 0;
  std::size_t empty = 0;  ///< but not for long enough to be
  std::size_t orphaned = 0;
};

/// Keeps an eye on the container parent between surveys: is told by the kernel when somebody writes
/// to `cgroup.subtree_control` of a level above it, knows which controllers it has had and lost,
/// and looks after each survey what its containers do. All members are called on the executor's
/// thread.
class CgroupMonitor {
 public:
  struct Hooks {
    std::function<void()> changed;  ///< somebody wrote: a survey is due
    std::function<void(const std::vector<std::string>& controllers)> lost;  ///< once for each loss
    std::function<void()> repair;  ///< ensure again; empty: nobody wants that
    std::function<void(const ContainerCounts&)> counted;
    std::function<void(const Error&)> blind;  ///< once: changes will not be told
  };

  /// `tree` belongs to `worker`; both outlive it, stuck threads too.
  CgroupMonitor(boost::asio::any_io_executor executor, CgroupTree& tree, Worker& worker,
                Hooks hooks);
  CgroupMonitor(const CgroupMonitor&) = delete;
  CgroupMonitor& operator=(const CgroupMonitor&) = delete;

  /// Every survey has to come by here.
  void surveyed(const Survey& survey);
  /// What was delegated just now is what is expected from here on. Surveys up to generation `begun`
  /// may have looked before.
  void ensured(const EnsureReport& report, std::uint64_t begun);

 private:
  struct Look;

  void expect(const Survey& survey);
  void await_changes();
  void look();
  Look take_look(FileChanges& changes, bool counting);

  boost::asio::any_io_executor executor_;
  CgroupTree& tree_;
  Worker& worker_;
  Hooks hooks_;
  std::shared_ptr<FileChanges> changes_;  ///< the worker adds to it, this thread drains it
  boost::asio::posix::stream_descriptor inotify_;
  boost::asio::steady_timer calm_;
  boost::asio::steady_timer next_repair_;
  bool looking_ = false;
  bool is_blind_ = false;
  std::chrono::steady_clock::time_point counted_at_{};
  std::chrono::steady_clock::time_point repaired_at_{};
  std::uint64_t outdated_ = 0;      ///< the last generation that may have looked before an ensure
  std::set<std::string> expected_;  ///< delegated at some time since the last ensure
  std::set<std::string> reported_;  ///< lost, and `lost` has said so
};

}  // namespace surveyd::run
