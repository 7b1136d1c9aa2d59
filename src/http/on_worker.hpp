#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "http/task.hpp"
#include "run/worker.hpp"

namespace surveyd::http {

// What a job on a worker ended with; neither when it did not end in time.
template <class T>
struct Done {
  std::optional<T> value;
  std::exception_ptr failure;
};

// Runs `job` on the worker while the serving thread goes on. The job owns what it uses: past the
// deadline it may still be running.
template <class T>
Task<std::optional<T>> on_worker(run::Worker& worker, std::chrono::milliseconds deadline,
                                 std::function<T()> job) {
  struct State {
    Timer finished;
    Done<T> done;
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  auto state = std::make_shared<State>(State{Timer{executor}, {}});
  state->finished.expires_after(deadline);
  // Named first: g++ 12 destroys a temporary of an expression with co_await twice.
  std::function<void()> task = [state, executor, job = std::move(job)] {
    Done<T> done;
    try {
      done.value = job();
    } catch (...) {
      done.failure = std::current_exception();
    }
    boost::asio::post(executor, [state, done = std::move(done)]() mutable {
      state->done = std::move(done);
      state->finished.cancel();
    });
  };
  worker.post(std::move(task));
  co_await state->finished.async_wait(completion);
  if (state->done.failure) std::rethrow_exception(state->done.failure);
  co_return std::move(state->done.value);
}

}  // namespace surveyd::http
