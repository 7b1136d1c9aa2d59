#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "http/task.hpp"
#include "run/worker.hpp"

namespace surveyd::http {

/// Too many wait for a worker already.
class WorkerBusy : public std::runtime_error {
 public:
  WorkerBusy() : std::runtime_error("too many wait for the same worker") {}
};

// Jobs of requests that may wait for one worker. A hung one would else collect them.
inline constexpr std::size_t most_waiting = 1024;

// What a job on a worker ended with; neither when it did not end in time.
template <class T>
struct Done {
  std::optional<T> value;
  std::exception_ptr failure;
};

// Runs `job` on the worker while the serving thread goes on. A job that has not begun by the
// deadline never does. One that has may still be running: it owns what it uses, and `late` gets
// what it came to, on the serving thread. Throws WorkerBusy.
template <class T>
Task<std::optional<T>> on_worker(run::Worker& worker, std::chrono::milliseconds deadline,
                                 std::function<T()> job, std::function<void(T&)> late = {}) {
  struct State {
    State(const Executor& executor, std::function<void(T&)> handler)
        : finished(executor), late(std::move(handler)) {}
    Timer finished;
    Done<T> done;
    std::function<void(T&)> late;
    std::atomic<bool> given_up = false;
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  auto state = std::make_shared<State>(executor, std::move(late));
  state->finished.expires_after(deadline);
  // Named first: g++ 12 destroys a temporary of an expression with co_await twice.
  std::function<void()> task = [state, executor, job = std::move(job)] {
    if (state->given_up) return;
    Done<T> done;
    try {
      done.value = job();
    } catch (...) {
      done.failure = std::current_exception();
    }
    boost::asio::post(executor, [state, done = std::move(done)]() mutable {
      if (state->given_up) {
        if (state->late && done.value) state->late(*done.value);
        return;
      }
      state->done = std::move(done);
      state->finished.cancel();
    });
  };
  if (!worker.try_post(std::move(task), most_waiting)) throw WorkerBusy{};
  co_await state->finished.async_wait(completion);
  // Taken out: what it refers to ends here, and not with the last user of the state, in its thread.
  if (auto failure = std::exchange(state->done.failure, nullptr))
    std::rethrow_exception(std::move(failure));
  state->given_up = !state->done.value;
  co_return std::move(state->done.value);
}

}  // namespace surveyd::http
