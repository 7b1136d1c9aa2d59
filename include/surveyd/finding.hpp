#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace surveyd {

/// Unknown is an answer of its own and never counts as yes.
enum class Status { no, yes, unknown };

[[nodiscard]] const char* to_string(Status status);

/// How an answer was come by.
enum class Basis {
  claimed,   ///< read from a file, a flag, a version; nothing was created or changed to find out
  verified,  ///< the operation itself was done, in a child process that left nothing behind
};

[[nodiscard]] const char* to_string(Basis basis);

/// Why an answer is what it is, from a closed set: docs/reasons.md has a paragraph for each.
enum class ReasonCode {
#define REASON(name, meaning) name,
#include <surveyd/reason_codes.def>
#undef REASON
};

/// Its name, as in JSON and in docs/reasons.md.
[[nodiscard]] const char* to_string(ReasonCode code);
/// What it means, in one sentence.
[[nodiscard]] const char* meaning_of(ReasonCode code);
[[nodiscard]] std::span<const ReasonCode> reason_codes();

/// What the reader can do here to turn a finding to yes.
struct Remedy {
  std::string text;     ///< one sentence
  std::string command;  ///< to be pasted into a root shell on the host; empty where there is none
};

/// One thing that was read or called, and what came back: a value or an errno.
struct Evidence {
  std::string source;     ///< a file or a system call, as an administrator would write it
  std::string value;      ///< what it said; empty when `error` is set
  std::error_code error;  ///< the errno that came back instead
};

/// What one probe found.
struct Finding {
  std::string id;  ///< snake_case, the same in JSON, metrics, logs and documentation
  Status status = Status::unknown;
  Basis basis = Basis::claimed;
  ReasonCode code = ReasonCode::not_probed;
  std::string value;   ///< what was found where that is more than yes or no: a path, a version
  std::string reason;  ///< one sentence
  std::vector<Evidence> evidence;
  std::optional<Remedy> remedy;  ///< nothing where nothing can, or needs to, be done
  bool failed = false;           ///< the probe itself timed out or threw, and status is unknown
  std::chrono::system_clock::time_point checked_at{};
  std::chrono::system_clock::time_point changed_at{};  ///< since when the answer is this one
  std::chrono::nanoseconds duration{0};
};

/// Whether both say the same: status and reason code. Evidence may differ.
[[nodiscard]] bool is_same_answer(const Finding& one, const Finding& other);

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
  [[nodiscard]] std::vector<Finding>& all() { return all_; }

  /// Takes a clear answer back, because another finding shows that it was none.
  void doubt(std::string_view id, ReasonCode code, std::string reason);

 private:
  std::vector<Finding> all_;
};

}  // namespace surveyd
