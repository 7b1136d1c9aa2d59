#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace surveyd {

/// Unknown is an answer of its own and never counts as yes.
enum class Status { no, yes, unknown };

[[nodiscard]] const char* to_string(Status status);

/// One thing that was read or called, and what came back: a value or an errno.
struct Evidence {
  std::string source;     ///< a file or a system call, as an administrator would write it
  std::string value;      ///< what it said; empty when `error` is set
  std::error_code error;  ///< the errno that came back instead
};

/// What one probe found. Claimed, never verified: nothing was created or changed to find out.
struct Finding {
  std::string id;  ///< snake_case, the same in JSON, metrics, logs and documentation
  Status status = Status::unknown;
  std::string value;   ///< what was found where that is more than yes or no: a path, a version
  std::string reason;  ///< one sentence
  std::vector<Evidence> evidence;
  bool failed = false;  ///< the probe itself timed out or threw, and status is unknown
  std::chrono::nanoseconds duration{0};
};

/// The findings of one survey, in the order of the catalogue.
class Findings {
 public:
  Findings() = default;
  explicit Findings(std::vector<Finding> all) : all_(std::move(all)) {}

  /// Null when no such finding was made.
  [[nodiscard]] const Finding* find(std::string_view id) const;
  /// A finding that was not made is unknown.
  [[nodiscard]] Status status(std::string_view id) const;
  [[nodiscard]] bool is_yes(std::string_view id) const { return status(id) == Status::yes; }
  /// Empty when the finding was not made or has no value.
  [[nodiscard]] std::string value(std::string_view id) const;
  [[nodiscard]] std::string reason(std::string_view id) const;

  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }

  /// Takes a clear answer back, because another finding shows that it was none.
  void doubt(std::string_view id, std::string reason);

 private:
  std::vector<Finding> all_;
};

}  // namespace surveyd
