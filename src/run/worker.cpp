#include "run/worker.hpp"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>

namespace surveyd::run {

struct Worker::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  bool stopping = false;
  bool ended = false;

  void run() {
    std::unique_lock lock{mutex};
    while (true) {
      changed.wait(lock, [this] { return stopping || !tasks.empty(); });
      if (stopping) break;
      {
        const auto task = std::move(tasks.front());
        tasks.pop_front();
        lock.unlock();
        task();
      }
      lock.lock();
    }
    // What never ran is destroyed while its owners still wait for the end.
    {
      const auto dropped = std::exchange(tasks, {});
      lock.unlock();
    }
    lock.lock();
    ended = true;
    changed.notify_all();
  }
};

namespace {

// Signals belong to the thread that serves: a new thread begins with all of them blocked.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

Worker::Worker(const char* name) : state_(std::make_shared<State>()) {
  const SignalsBlocked blocked;
  std::thread thread{[state = state_] { state->run(); }};
  pthread_setname_np(thread.native_handle(), name);
  thread.detach();
}

Worker::~Worker() {
  const std::lock_guard lock{state_->mutex};
  state_->stopping = true;
  state_->changed.notify_all();
}

void Worker::post(std::function<void()> task) {
  (void)try_post(std::move(task), std::numeric_limits<std::size_t>::max());
}

bool Worker::try_post(std::function<void()> task, std::size_t most) {
  {
    const std::lock_guard lock{state_->mutex};
    if (state_->tasks.size() >= most) return false;
    state_->tasks.push_back(std::move(task));
  }
  // Without the lock: the thread that wakes up needs it at once.
  state_->changed.notify_all();
  return true;
}

bool Worker::stop(std::chrono::milliseconds patience) {
  std::unique_lock lock{state_->mutex};
  state_->stopping = true;
  state_->changed.notify_all();
  return state_->changed.wait_for(lock, patience, [this] { return state_->ended; });
}

}  // namespace surveyd::run
