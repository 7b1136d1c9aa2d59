#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/finding.hpp>

#include "host/helper_process.hpp"

namespace surveyd::run {

/// What a helper process is asked to find out about another process.
struct SubjectOrder {
  int pid = 0;
  std::optional<std::uint64_t>
      start_time;  ///< of the process that is meant; nothing: whichever it is
  std::optional<unsigned>
      owner;  ///< only while it belongs to this user: whoever asks may know no more
  std::vector<std::string> storage;
  ContainerPlan plan;
};

/// As arguments of a helper, and back; nothing when they are anything else.
[[nodiscard]] std::vector<std::string> arguments_of(const SubjectOrder& order);
[[nodiscard]] std::optional<SubjectOrder> subject_order_of(std::span<const std::string> arguments);

/// The first of a helper's arguments when it is to survey.
inline constexpr const char* survey_task = "survey";

/// The last line of such a helper: that all lines before are true, or why there are none.
[[nodiscard]] std::string last_line_of(const Result<void>& outcome);
/// Nothing when `line` is no last one.
[[nodiscard]] std::optional<Result<void>> outcome_of(std::string_view line);

/// Has the claims about another process made by a helper process, which takes that one's place.
class SubjectSurveyor {
 public:
  /// Makes a finding of a line.
  using Decode = std::function<std::optional<Finding>(std::string_view line)>;

  explicit SubjectSurveyor(Decode decode) : decode_(std::move(decode)) {}

  /// Blocks the calling thread, which has to live as long as that takes. All findings are of one
  /// process with one set of rights, or it fails: `Fault::no_such_process`, `timed_out` after
  /// `deadline`, EPERM when it is not its owner's any more, EAGAIN when it keeps changing its
  /// rights. One call at a time, but for `cancel`.
  [[nodiscard]] Result<Findings> survey(const SubjectOrder& order,
                                        std::chrono::milliseconds deadline);

  /// Kills the helper that runs, and lets no other begin. Any thread.
  void cancel();

 private:
  [[nodiscard]] Result<Findings> attempt(const SubjectOrder& order,
                                         std::chrono::steady_clock::time_point end);
  [[nodiscard]] Result<Findings> listen(HelperProcess& helper,
                                        std::chrono::steady_clock::time_point end);

  Decode decode_;
  std::list<HelperProcess> unreaped_;  ///< stuck in the kernel when they were killed
  std::mutex mutex_;
  HelperProcess* running_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace surveyd::run
