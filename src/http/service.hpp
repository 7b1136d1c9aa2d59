#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/surveyor.hpp>

#include "http/access.hpp"
#include "http/gzip.hpp"
#include "http/limits.hpp"
#include "http/response.hpp"
#include "metrics/exposition.hpp"
#include "run/reaper.hpp"
#include "run/subject_survey.hpp"
#include "run/verifications.hpp"
#include "run/worker.hpp"

namespace surveyd::http {

/// The cgroup tree twice: what only reads must not hold up what changes, nor the other way round.
struct Cgroups {
  CgroupTree& tree;      ///< belongs to `worker`
  run::Worker& worker;   ///< changes, one after another
  CgroupTree& readable;  ///< belongs to `reader`
  run::Worker& reader;
  Access& readers;  ///< belongs to `reader`
  run::Reaper& reaper;
};

/// What questions about other processes are answered with.
struct Subjects {
  Access& access;                  ///< belongs to `worker`
  run::Worker& worker;             ///< one question after another
  run::SubjectSurveyor& surveyor;  ///< belongs to `worker`
  std::vector<std::string> storage;
  ContainerPlan plan;
  std::shared_ptr<std::atomic<unsigned>> open = std::make_shared<std::atomic<unsigned>>(0);
};

/// What the handlers work with. Used on the serving thread, but for the trees, which belong to
/// their workers, and the access rules, which belong to the worker that changes.
struct Service {
  Surveyor& surveyor;
  Cgroups cgroups;
  Access& access;
  metrics::Counters& counters;
  Limits limits;
  AccessRules rules{};
  std::string token{};                                 ///< of --token-file; empty: none
  std::function<void(const EnsureReport&)> ensured{};  ///< who else wants to know; may be empty
  run::Verifications* verifications = nullptr;         ///< null with another subject
  std::string unix_socket{};                           ///< empty without one
  Subjects* subjects = nullptr;                        ///< null: no other process is asked about

  // Made ready with each snapshot; null before the first.
  std::shared_ptr<const Document> capabilities{};
  std::shared_ptr<const Document> daemon_capabilities{};
  /// Of the routes that few ask for: made ready when somebody does, once a snapshot.
  std::map<std::string, std::shared_ptr<const Document>, std::less<>> rarely_asked{};
  /// The part of GET /metrics that only a survey changes, once somebody has asked for gzip.
  std::optional<Deflated> survey_metrics{};
  std::chrono::steady_clock::time_point surveyed_at{};  ///< end of the last survey that finished
  std::map<std::string, std::shared_ptr<const Document>, std::less<>> page{};  ///< by path

  std::uint64_t answered = 0;  ///< requests, of all connections
  std::size_t released = 0;    ///< connections that have given memory back to the allocator
  /// When the connections are looked at next, in terms of the deadlines that are due then.
  std::chrono::steady_clock::time_point next_look = std::chrono::steady_clock::time_point::min();
  std::function<void(std::chrono::steady_clock::time_point)> look_sooner{};

  /// A connection has a deadline.
  void look_by(std::chrono::steady_clock::time_point deadline) {
    if (deadline < next_look) look_sooner(deadline);
  }
  /// `text` as the document of `path`, until the next snapshot.
  [[nodiscard]] std::shared_ptr<const Document> document_of(std::string_view path,
                                                            const std::string& text);
  void publish(const Surveyor::Published& snapshot);
  void load_page();
};

}  // namespace surveyd::http
