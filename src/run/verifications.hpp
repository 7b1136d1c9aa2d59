#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include <surveyd/surveyor.hpp>

#include "run/verified_results.hpp"
#include "run/verifier.hpp"
#include "run/worker.hpp"

namespace surveyd::run {

/// Verifies when asked, on a worker of its own, so that surveys go on meanwhile; then surveys, as
/// the claims that the results belong to are part of the answer. All members are called on the
/// executor's thread.
class Verifications {
 public:
  /// Null when it came to an end; else why nothing was verified.
  using Done = std::function<void(const Error* failure)>;

  /// `results` is what the surveyor replaces claims with.
  Verifications(boost::asio::any_io_executor executor, Surveyor& surveyor, VerificationOrder order,
                Verifier::Decode decode, std::shared_ptr<VerifiedResults> results);
  Verifications(const Verifications&) = delete;
  Verifications& operator=(const Verifications&) = delete;

  /// Everything that can be verified, or the end of the run that has begun: callers share it.
  /// `done` comes after the survey that shows the results.
  void verify(Done done);

  /// Kills the helper; no more verifications.
  void cancel();
  /// False when the worker is stuck in the kernel.
  [[nodiscard]] bool stop(std::chrono::milliseconds patience);

 private:
  void finish(const std::optional<Error>& failure);
  void answer(const Error* failure);

  boost::asio::any_io_executor executor_;
  Surveyor& surveyor_;
  VerificationOrder order_;
  std::shared_ptr<Verifier> verifier_;
  std::shared_ptr<VerifiedResults> results_;
  std::optional<Worker> worker_;  ///< from the first run on: it has to outlive its helpers
  bool running_ = false;
  std::vector<Done> waiting_;
};

}  // namespace surveyd::run
