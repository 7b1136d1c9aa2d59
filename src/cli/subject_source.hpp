#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <surveyd/host.hpp>
#include <surveyd/surveyor.hpp>

#include "cli/settings.hpp"
#include "run/subject_survey.hpp"

namespace surveyd::cli {

/// The process of `--subject-pid` is not there when the daemon starts.
struct SubjectMissing : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// `--subject-pid`, `--subject-unit`: what the daemon surveys in place of itself.
class SubjectSource {
 public:
  /// Pins the process that a pid means now. Throws `SubjectMissing`.
  explicit SubjectSource(const Settings& settings);

  /// On the surveyor's worker. A unit is asked for its main process each time, so that one that was
  /// restarted is followed; a pid is never another process's.
  [[nodiscard]] ForeignSurvey survey();

  /// On the serving thread: one line when the subject goes, and one when it is back.
  void report(const Snapshot& snapshot);

  /// Ends the survey that runs. Any thread.
  void cancel() { surveyor_.cancel(); }

 private:
  [[nodiscard]] Result<Findings> survey_process(int pid, std::string& subject);

  std::string unit_;
  int pid_;
  std::optional<std::uint64_t> start_time_;  ///< of the pid
  std::vector<std::string> storage_;
  ContainerPlan plan_;
  run::SubjectSurveyor surveyor_;
  bool gone_ = false;
};

/// What the cgroup monitor may take for its own: a survey with nothing but surveyd's findings.
[[nodiscard]] Survey about_surveyd(const Snapshot& snapshot);

/// Shared with the worker, which may outlive whoever made it.
[[nodiscard]] std::shared_ptr<SubjectSource> make_subject_source(const Settings& settings);

}  // namespace surveyd::cli
