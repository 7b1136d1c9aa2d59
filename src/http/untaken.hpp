#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace surveyd::http {

/// What was written to a socket and its peer has not taken. It lies in the kernel's buffers, where
/// no event tells of it, and stays there for minutes after a close.
class Untaken {
 public:
  using Clock = std::chrono::steady_clock;

  void wrote(std::size_t bytes) { written_ += bytes; }

  /// Nothing has been written since a look found everything taken.
  [[nodiscard]] bool is_settled() const { return written_ == taken_; }

  /// A look, made from time to time and not for each answer: all that was written by one has to be
  /// taken within `patience`, whatever is written after it.
  [[nodiscard]] bool takes_too_long(int socket, Clock::time_point now, Clock::duration patience);

 private:
  std::uint64_t written_ = 0;      ///< bytes of answers, over all requests
  std::uint64_t taken_ = 0;        ///< `written_` when the peer had all of it
  std::uint64_t due_ = 0;          ///< what it has to have by `deadline_`
  std::uint64_t due_untaken_ = 0;  ///< what it had not when that was set
  Clock::time_point deadline_ = Clock::time_point::max();
};

/// Whether something that was written has not got to a peer that still is there.
[[nodiscard]] bool waits_for_peer(int socket);

}  // namespace surveyd::http
