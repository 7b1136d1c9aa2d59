#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <surveyd/survey.hpp>

#include "host/process_usage.hpp"

namespace surveyd::metrics {

/// What never changes while the process runs.
struct Build {
  std::string version;
  std::string revision;
  std::string compiler;
  std::string kernel;
};

/// The families that only a survey changes, as text: gauges of capabilities, modes, probes, the
/// environment, and what the process uses as of this survey.
[[nodiscard]] std::string of_survey(const Survey& survey, const ProcessUsage& usage,
                                    const Build& build);

/// The families that change between surveys. For one thread: plain counters, no lock.
class Counters {
 public:
  Counters();

  /// `method` and `route` come from closed sets and live for ever.
  void request(std::string_view method, std::string_view route, unsigned code,
               std::chrono::nanoseconds duration);
  void cgroup_operation(const char* operation, const char* result);
  /// A controller that the container parent delegated before and does not any more.
  void cgroup_drift(const std::string& controller);
  void containers(std::size_t populated, std::size_t empty, std::size_t orphaned);
  /// `before` is null for the first survey.
  void surveyed(const Survey* before, const Survey& after);
  void connections(std::string_view listener, int change);
  /// `reason` comes from a closed set and lives for ever. With 0 the series begins.
  void rejected(std::string_view reason, unsigned count = 1);

  /// All of them as text, with the processor time used until now and the number of removals by
  /// force that go on in the background. What has not changed since the last time is not made
  /// again.
  [[nodiscard]] std::string text(double cpu_seconds, std::size_t removals_pending);

 private:
  template <std::size_t Size>
  struct Histogram {
    std::array<std::uint64_t, Size + 1> counts{};  ///< one for each bound, and one above all
    double sum = 0;
  };
  /// Of one method, route and status code.
  struct Requests {
    Histogram<9> durations;
    std::string duration_lines;  ///< as of the last text
    std::string count_line;
    bool changed = true;
  };
  using RequestKey = std::tuple<std::string_view, std::string_view, unsigned>;

  [[nodiscard]] std::string text_of_connections() const;
  [[nodiscard]] std::string text_of_rejections() const;
  /// What no request changes but those that survey or change the cgroup tree.
  [[nodiscard]] std::string text_of_rest() const;

  std::map<RequestKey, Requests> requests_;
  std::map<RequestKey, Requests>::iterator last_request_ = requests_.end();
  std::map<std::pair<std::string, std::string>, std::uint64_t> cgroup_operations_;
  std::map<std::string, std::uint64_t> cgroup_drift_;
  std::map<std::string, std::size_t> containers_;  ///< by state; empty before the first look
  std::map<std::string, std::uint64_t> capability_changes_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> mode_changes_;
  std::map<std::string, std::uint64_t> probe_failures_;
  std::map<std::string_view, std::int64_t> connections_;
  std::map<std::string_view, std::uint64_t> rejected_;
  Histogram<10> survey_durations_;

  // As of the last text; empty once something in it has changed.
  std::string connection_text_;
  std::string rejection_text_;
  std::string rest_text_;
};

}  // namespace surveyd::metrics
