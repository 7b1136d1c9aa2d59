#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace surveyd::run {

/// A thread that runs tasks one after another. A task can block in the kernel for ever, so the
/// thread is never joined: a stuck one is abandoned, and what its task uses has to outlive it.
class Worker {
 public:
  /// `name` is what tools show for the thread, at most 15 characters. Throws `std::system_error`
  /// when there is no thread to be had.
  explicit Worker(const char* name);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  /// Tasks that have not begun are dropped; the one that runs goes on without anybody waiting.
  ~Worker();

  void post(std::function<void()> task);
  /// False, and nothing done, when `most` tasks wait already.
  [[nodiscard]] bool try_post(std::function<void()> task, std::size_t most);

  /// Lets the thread end after its current task. False when it does not within `patience`: the
  /// process then has to leave without destroying what the task uses.
  [[nodiscard]] bool stop(std::chrono::milliseconds patience);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace surveyd::run
