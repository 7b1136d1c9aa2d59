#pragma once

#include <chrono>
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
#include <surveyd/probe.hpp>

#include "host/helper_process.hpp"

namespace surveyd::run {

/// What a helper process is asked to verify, and what it needs to know for that.
struct VerificationOrder {
  std::vector<std::string> ids;  ///< of probes that have a verification, in this order
  std::vector<std::string> storage;
  ContainerPlan plan;
  bool may_load_modules = false;
  std::chrono::milliseconds deadline{5000};  ///< of each verification
};

/// As arguments of a helper, and back; nothing when they are anything else.
[[nodiscard]] std::vector<std::string> arguments_of(const VerificationOrder& order);
[[nodiscard]] std::optional<VerificationOrder> order_of(std::span<const std::string> arguments);

/// The first of a helper's arguments when it is to verify.
inline constexpr const char* verify_task = "verify";

/// What trying a probe's operation has shown, and what the probe claimed right before.
struct Verification {
  Finding claim;
  Finding finding;
};

/// A finding for what has no answer: unknown, and failed.
[[nodiscard]] Finding no_answer(const std::string& id, ReasonCode code, std::string reason);

/// Has verifications done by a helper process. The helper sends two lines for each: the claim, then
/// what was verified.
class Verifier {
 public:
  /// Makes a finding of a line.
  using Decode = std::function<std::optional<Finding>(std::string_view line)>;

  explicit Verifier(Decode decode) : decode_(std::move(decode)) {}

  /// Blocks the calling thread, which has to live as long as that takes. One verification for each
  /// of the ids: unknown where the helper hung or ended. An error when there is no helper at all.
  /// One call at a time, but for `cancel`.
  [[nodiscard]] Result<std::vector<Verification>> verify(const VerificationOrder& order);

  /// Kills the helper that runs, and lets no other begin. Any thread.
  void cancel();

 private:
  [[nodiscard]] Result<Finding> next_finding(HelperProcess& helper, const std::string& id,
                                             std::chrono::milliseconds limit);

  Decode decode_;
  std::list<HelperProcess> unreaped_;  ///< stuck in the kernel when they were killed
  std::mutex mutex_;
  HelperProcess* running_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace surveyd::run
