// Jobs of requests on a worker that may be slow, or stuck.

#include "http/on_worker.hpp"

#include <future>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <gtest/gtest.h>

namespace surveyd::test {
namespace {

using namespace std::chrono_literals;

class OnWorker : public testing::Test {
 protected:
  ~OnWorker() override {
    gate_.set_value();
    EXPECT_TRUE(worker_.stop(60s));
  }

  /// From now on nothing runs on the worker until the gate opens.
  void hold_up() {
    std::promise<void> begun;
    worker_.post([&begun, open = gate_.get_future().share()] {
      begun.set_value();
      open.wait();
    });
    begun.get_future().wait();
  }

  /// Until the job has an outcome for whoever waits.
  std::string run(std::chrono::milliseconds deadline, std::function<int()> job,
                  std::function<void(int&)> late = {}) {
    std::string outcome;
    const auto ask = [&]() -> http::Task<> {
      try {
        const auto value =
            co_await http::on_worker<int>(worker_, deadline, std::move(job), std::move(late));
        outcome = value ? std::to_string(*value) : "too late";
      } catch (const std::exception& failure) {
        outcome = failure.what();
      }
    };
    http::Task<> task = ask();
    boost::asio::co_spawn(context_, std::move(task), [](const std::exception_ptr&) {});
    while (outcome.empty()) context_.run_one();
    return outcome;
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<http::Executor> guard_{context_.get_executor()};
  std::promise<void> gate_;
  run::Worker worker_{"test"};
};

TEST_F(OnWorker, GivesWhatTheJobCameTo) {
  EXPECT_EQ(run(60s, [] { return 7; }), "7");
  EXPECT_EQ(run(60s, []() -> int { throw std::runtime_error("no"); }), "no");
}

TEST_F(OnWorker, NeverBeginsWhatNobodyWaitsForAnyMore) {
  hold_up();
  bool has_run = false;
  EXPECT_EQ(run(1ms, [&has_run] { return has_run = true, 7; }), "too late");
  gate_.set_value();
  gate_ = {};
  EXPECT_EQ(run(60s, [] { return 8; }), "8");
  EXPECT_FALSE(has_run);
}

TEST_F(OnWorker, TellsWhatAJobCameToThatHadBegun) {
  std::promise<void> begun;
  std::promise<void> finish;
  int came_to = 0;
  const auto job = [&] {
    begun.set_value();
    finish.get_future().wait();
    return 7;
  };
  EXPECT_EQ(run(100ms, job, [&came_to](int& value) { came_to = value; }), "too late");
  begun.get_future().wait();
  finish.set_value();
  while (came_to == 0) context_.run_one();
  EXPECT_EQ(came_to, 7);
}

TEST_F(OnWorker, TakesOnlySoManyAtATime) {
  hold_up();
  for (std::size_t waiting = 0; waiting < http::most_waiting + 1; ++waiting)
    (void)worker_.try_post([] {}, http::most_waiting);
  EXPECT_EQ(run(60s, [] { return 7; }), http::WorkerBusy{}.what());
}

}  // namespace
}  // namespace surveyd::test
