#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/host.hpp>
#include <surveyd/probe.hpp>
#include <surveyd/survey.hpp>

namespace surveyd {

namespace run {
class Worker;
}

/// The texts that follow from a survey alone, made once a survey and not once a request.
struct Documents {
  std::string capabilities;                                 ///< GET /capabilities
  std::string daemon_capabilities;                          ///< GET /api/v1/daemon/capabilities
  std::string findings;                                     ///< GET /findings
  std::string changes;                                      ///< GET /changes
  std::map<std::string, std::string, std::less<>> finding;  ///< GET /findings/<id>, by id
  std::string metrics;  ///< the part of GET /metrics that only a survey changes
};

/// A survey and its documents. Immutable once published.
struct Snapshot {
  Survey survey;
  Documents documents;
  std::optional<Error> failure;  ///< there is no survey: the process that it is about is gone
};

/// A survey that is not made by probes in this process.
struct ForeignSurvey {
  std::string subject;        ///< whom it is about, for SurveyRun
  Result<Findings> findings;  ///< or why there is none now
  Findings own;               ///< for Survey
};

struct SurveyorSettings {
  std::chrono::seconds interval{30};
  /// Then its finding is unknown: timed out. Each that is given up halves it for the rest of that
  /// survey, down to a tenth, so that many that hang hold the others up hardly longer than one.
  std::chrono::milliseconds probe_deadline{600};
  std::chrono::milliseconds stale_after{3000};  ///< a survey that takes longer than this
  ContainerPlan plan;
  /// The findings that follow from what was claimed, where something is known better: called on the
  /// worker. May be empty.
  std::function<Findings(const Findings& claims)> replace_claims{};
  /// In place of the probes; called on the worker, and keeps a deadline of its own.
  std::function<ForeignSurvey()> source{};
};

/// Surveys at start, on a timer and when asked, off the executor's thread, and publishes each
/// result on it. All members are called on the executor's thread.
///
/// Probes run one after another on a worker. One that does not return within its deadline is given
/// up: its finding becomes unknown, a new worker goes on with the next probe, and until the stuck
/// thread comes back that probe is not started again. So at most one thread a probe is ever stuck.
class Surveyor {
 public:
  using Published = std::shared_ptr<const Snapshot>;
  using Render = std::function<Documents(const Survey&)>;  ///< called on the worker
  using Publish = std::function<void(const Published&)>;

  /// `host` and `probes` have to outlive every worker thread, stuck ones too.
  Surveyor(boost::asio::any_io_executor executor, const Host& host, std::span<const Probe> probes,
           SurveyorSettings settings, Render render, Publish publish);
  Surveyor(const Surveyor&) = delete;
  Surveyor& operator=(const Surveyor&) = delete;
  ~Surveyor();

  /// The first survey, and the timer.
  void start();

  /// A survey that begins after this call: what has changed just now may have come too late for the
  /// one that runs. Callers who wait for the next one share it, and it begins only after a rest of
  /// nineteen times what the last one took (100 ms at most): however many are asked for, they take
  /// a twentieth of one processor. `done` gets its snapshot, or the last good one (null before the
  /// first) when it has none.
  void survey(std::function<void(const Published&)> done = {});

  /// The generation of the last survey that has begun.
  [[nodiscard]] std::uint64_t begun() const { return generation_; }

  /// The last good snapshot; null before the first.
  [[nodiscard]] const Published& current() const { return current_; }

  /// No more surveys. False when a worker is stuck in the kernel.
  [[nodiscard]] bool stop();

 private:
  struct Run;

  static void ask_source(Run& run);
  static void execute(const std::shared_ptr<Run>& run, std::size_t from, unsigned attempt);
  static std::shared_ptr<Snapshot> conclude_run(Run& run);
  void begin_if_rested();
  void begin();
  void watch();
  [[nodiscard]] std::chrono::milliseconds deadline_of(const Run& run) const;
  [[nodiscard]] std::chrono::milliseconds next_look() const;
  void give_up_late_probe();
  void mark_stale();
  void finish(const std::shared_ptr<Run>& run);
  void schedule();

  boost::asio::any_io_executor executor_;
  const Host& host_;
  std::span<const Probe> probes_;
  SurveyorSettings settings_;
  Render render_;
  Publish publish_;

  std::unique_ptr<run::Worker> worker_;
  std::unique_ptr<run::Worker> staleness_worker_;  ///< while it renders a stale snapshot
  std::shared_ptr<Run> run_;                       ///< null when no survey runs
  std::shared_ptr<std::set<std::size_t>> stuck_;
  boost::asio::steady_timer interval_timer_;
  std::chrono::steady_clock::time_point due_{};  ///< the next survey of the timer, once that runs
  boost::asio::steady_timer rest_timer_;
  std::chrono::steady_clock::time_point rested_at_{};
  boost::asio::steady_timer watchdog_;
  Published current_;
  std::uint64_t generation_ = 0;
  bool stopped_ = false;
  bool again_ = false;  ///< another survey is due when this one ends
  std::vector<std::function<void(const Published&)>> waiting_;  ///< for the one that runs
  std::vector<std::function<void(const Published&)>> waiting_for_next_;
};

}  // namespace surveyd
