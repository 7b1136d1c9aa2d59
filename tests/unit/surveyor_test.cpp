// The surveyor with probes that hang, throw and come back when the test says so.

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <surveyd/surveyor.hpp>

#include "support/findings.hpp"
#include "support/fixture_host.hpp"

namespace surveyd::test {
namespace {

using namespace std::chrono_literals;

/// Holds up whoever passes while it is shut.
class Gate {
 public:
  void shut() { set(false); }
  void open() { set(true); }
  void pass() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return open_; });
  }

 private:
  void set(bool open) {
    const std::lock_guard lock{mutex_};
    open_ = open;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
};

/// What the probes do. They are plain functions, and their threads may outlive a test.
struct Script {
  std::array<Gate, 3> gates;
  std::array<std::atomic<int>, 3> starts{};
  std::atomic<bool> second_throws = false;
};

Script& script() {
  static Script all;
  return all;
}

template <std::size_t Index>
Finding play(Subject&) {
  ++script().starts[Index];
  script().gates[Index].pass();
  if (Index == 1 && script().second_throws) throw std::runtime_error("out of luck");
  return found("", Status::yes, "answered");
}

const std::array<Probe, 3> probes = {
    {{"first", "", play<0>}, {"second", "", play<1>}, {"third", "", play<2>}}};

// Both outlive every thread that was ever stuck.
boost::asio::io_context& context() {
  static auto* const one = new boost::asio::io_context{1};
  static const auto guard = boost::asio::make_work_guard(*one);  // it may have to wait for a thread
  return *one;
}
const FixtureHost& host() {
  static const auto* const one = new FixtureHost;
  return *one;
}

class SurveyorTest : public testing::Test {
 protected:
  using Published = Surveyor::Published;

  SurveyorTest() {
    settings_.probe_deadline = 250ms;
    settings_.stale_after = 1h;
    script().second_throws = false;
    for (auto& starts : script().starts) starts = 0;
  }

  void TearDown() override {
    for (Gate& gate : script().gates) gate.open();
    script().second_throws = false;
    if (!surveyor_) return;
    // Until every thread is back.
    while (!HasFailure() && survey_fails()) {
    }
    EXPECT_TRUE(surveyor_->stop());
    surveyor_.reset();
    context().poll();
  }

  Surveyor& make(std::span<const Probe> all = probes) {
    surveyor_ = std::make_unique<Surveyor>(
        context().get_executor(), host(), all, settings_,
        [this](const Survey& survey) {
          rendered_on_ = std::this_thread::get_id();
          Documents documents;
          documents.capabilities = "generation " + std::to_string(survey.run.generation);
          return documents;
        },
        [this](const Published& snapshot) {
          published_on_ = std::this_thread::get_id();
          published_.push_back(snapshot);
        });
    return *surveyor_;
  }

  template <class Condition>
  void run_until(Condition holds) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      context().run_one_for(5ms);
    }
  }

  Published survey() {
    Published result;
    surveyor_->survey([&result](const Published& snapshot) { result = snapshot; });
    run_until([&result] { return result != nullptr; });
    return result;
  }

  bool survey_fails() {
    const Published snapshot = survey();
    if (!snapshot) return false;
    for (const Finding& finding : snapshot->survey.findings.all())
      if (finding.failed && !script().second_throws) return true;
    return false;
  }

  // A probe that has begun is inside its gate or about to be.
  void wait_for_start(std::size_t index, int starts) {
    run_until([=] { return script().starts[index] >= starts; });
  }

  SurveyorSettings settings_;
  std::unique_ptr<Surveyor> surveyor_;
  std::vector<Published> published_;
  std::thread::id rendered_on_;
  std::thread::id published_on_;
};

const Finding& finding(const Surveyor::Published& snapshot, std::string_view id) {
  const Finding* found = snapshot->survey.findings.find(id);
  if (found == nullptr) throw std::out_of_range("no such finding");
  return *found;
}

void expect_timed_out(const Surveyor::Published& snapshot, std::string_view id) {
  const Finding& late = finding(snapshot, id);
  EXPECT_EQ(late.status, Status::unknown);
  EXPECT_TRUE(late.failed);
  EXPECT_EQ(late.code, ReasonCode::timed_out);
  EXPECT_TRUE(late.reason.starts_with("timed out")) << late.reason;
}

void expect_answered(const Surveyor::Published& snapshot, std::string_view id) {
  EXPECT_EQ(finding(snapshot, id).status, Status::yes) << id;
  EXPECT_FALSE(finding(snapshot, id).failed) << id;
}

TEST_F(SurveyorTest, PublishesTheFirstGenerationAtStart) {
  settings_.interval = 1h;
  Surveyor& surveyor = make();
  EXPECT_EQ(surveyor.current(), nullptr);
  surveyor.start();
  run_until([this] { return !published_.empty(); });
  const Published& first = published_.front();
  EXPECT_EQ(surveyor.current(), first);
  EXPECT_EQ(first->survey.run.generation, 1U);
  EXPECT_EQ(first->survey.run.interval, 1h);
  EXPECT_FALSE(first->survey.run.stale);
  EXPECT_EQ(first->documents.capabilities, "generation 1");
  EXPECT_EQ(first->survey.findings.all().size(), 3U);
  for (const char* id : {"first", "second", "third"}) expect_answered(first, id);
}

TEST_F(SurveyorTest, WorksOnAnotherThreadAndPublishesOnThisOne) {
  make();
  survey();
  EXPECT_EQ(published_on_, std::this_thread::get_id());
  EXPECT_NE(rendered_on_, std::this_thread::get_id());
}

TEST_F(SurveyorTest, CountsGenerations) {
  make();
  EXPECT_EQ(survey()->survey.run.generation, 1U);
  EXPECT_EQ(survey()->survey.run.generation, 2U);
  EXPECT_EQ(published_.size(), 2U);
}

TEST_F(SurveyorTest, SurveysAgainAfterTheInterval) {
  settings_.interval = 1s;
  make().start();
  run_until([this] { return published_.size() == 2; });
  EXPECT_EQ(published_[1]->survey.run.generation, 2U);
  EXPECT_GE(published_[1]->survey.run.surveyed_at - published_[0]->survey.run.surveyed_at, 900ms);
}

TEST_F(SurveyorTest, SharesARunThatBeginsAfterTheCalls) {
  settings_.probe_deadline = 1h;
  Surveyor& surveyor = make();
  script().gates[1].shut();
  std::vector<Published> answers;
  const auto note = [&answers](const Published& snapshot) { answers.push_back(snapshot); };
  surveyor.survey(note);
  wait_for_start(1, 1);
  // What has changed before these calls may have come too late for the one that runs.
  surveyor.survey(note);
  surveyor.survey();
  surveyor.survey(note);
  script().gates[1].open();
  run_until([&answers] { return answers.size() == 3; });
  EXPECT_EQ(answers[0]->survey.run.generation, 1U);
  EXPECT_EQ(answers[1]->survey.run.generation, 2U);
  EXPECT_EQ(answers[1], answers[2]);
  EXPECT_EQ(published_.size(), 2U);
  EXPECT_EQ(script().starts[0], 2);
  EXPECT_EQ(surveyor.begun(), 2U);
}

TEST_F(SurveyorTest, RestsNineteenTimesAsLongAsItSurveyed) {
  static std::vector<std::chrono::steady_clock::time_point> begun;
  begun.clear();
  static constexpr auto takes = 4ms;
  static const std::array<Probe, 1> slow = {{{"slow", "", [](Subject&) {
                                                begun.push_back(std::chrono::steady_clock::now());
                                                std::this_thread::sleep_for(takes);
                                                return found("", Status::yes, "answered");
                                              }}}};
  make(slow);
  int answered = 0;
  std::function<void(const Published&)> ask = [&](const Published&) {
    if (++answered < 3) surveyor_->survey(ask);
  };
  surveyor_->survey(ask);
  while (answered < 3) context().run_one();
  ASSERT_EQ(begun.size(), 3U);
  for (std::size_t i = 1; i < begun.size(); ++i) EXPECT_GE(begun[i] - begun[i - 1], 20 * takes);
}

TEST_F(SurveyorTest, TakesANewSurveyFromACallback) {
  Surveyor& surveyor = make();
  Published second;
  surveyor.survey([&](const Published&) {
    surveyor.survey([&second](const Published& snapshot) { second = snapshot; });
  });
  run_until([&second] { return second != nullptr; });
  EXPECT_EQ(second->survey.run.generation, 2U);
}

TEST_F(SurveyorTest, GivesUpAProbeThatHangsAndGoesOn) {
  make();
  script().gates[1].shut();
  const Published snapshot = survey();
  expect_answered(snapshot, "first");
  expect_timed_out(snapshot, "second");
  expect_answered(snapshot, "third");
  EXPECT_GE(finding(snapshot, "second").duration, settings_.probe_deadline);
}

TEST_F(SurveyorTest, HasLessPatienceWithEachThatHangs) {
  settings_.probe_deadline = 400ms;
  make();
  for (auto& gate : script().gates) gate.shut();
  const Published snapshot = survey();
  for (const char* id : {"first", "second", "third"}) expect_timed_out(snapshot, id);
  EXPECT_GE(finding(snapshot, "first").duration, 400ms);
  EXPECT_GE(finding(snapshot, "second").duration, 200ms);
  EXPECT_GE(finding(snapshot, "third").duration, 100ms);
  EXPECT_LT(finding(snapshot, "third").duration, 400ms);
}

TEST_F(SurveyorTest, GivesUpTheLastProbeToo) {
  make();
  script().gates[2].shut();
  const Published snapshot = survey();
  expect_answered(snapshot, "second");
  expect_timed_out(snapshot, "third");
}

TEST_F(SurveyorTest, DoesNotStartAProbeWhoseThreadIsStuck) {
  make();
  script().gates[1].shut();
  survey();
  const Published again = survey();
  expect_timed_out(again, "second");
  expect_answered(again, "third");
  EXPECT_EQ(script().starts[0], 2);
  EXPECT_EQ(script().starts[1], 1);
  EXPECT_EQ(script().starts[2], 2);
}

TEST_F(SurveyorTest, StartsItAgainOnceItsThreadIsBack) {
  make();
  script().gates[1].shut();
  survey();
  script().gates[1].open();
  while (!HasFailure() && survey_fails()) {
  }
  EXPECT_EQ(script().starts[1], 2);
  expect_answered(surveyor_->current(), "second");
}

TEST_F(SurveyorTest, DropsAnAnswerThatComesAfterTheDeadline) {
  Surveyor& surveyor = make();
  script().gates[1].shut();
  script().gates[2].shut();
  Published result;
  surveyor.survey([&result](const Published& snapshot) { result = snapshot; });
  wait_for_start(2, 1);  // so the second has been given up
  script().gates[1].open();
  run_until([&result] { return result != nullptr; });
  expect_timed_out(result, "second");
  expect_timed_out(result, "third");
}

TEST_F(SurveyorTest, TurnsAnExceptionIntoUnknown) {
  make();
  script().second_throws = true;
  const Published snapshot = survey();
  const Finding& failed = finding(snapshot, "second");
  EXPECT_EQ(failed.status, Status::unknown);
  EXPECT_TRUE(failed.failed);
  EXPECT_EQ(failed.code, ReasonCode::probe_failed);
  EXPECT_NE(failed.reason.find("out of luck"), std::string::npos);
  expect_answered(snapshot, "third");
}

TEST_F(SurveyorTest, MarksTheLastGoodSurveyStaleWhenTheNextOneLags) {
  settings_.stale_after = 1ms;
  make();
  survey();
  script().gates[1].shut();
  script().gates[2].shut();
  survey();
  ASSERT_EQ(published_.size(), 3U);
  const SurveyRun& stale = published_[1]->survey.run;
  EXPECT_TRUE(stale.stale);
  EXPECT_EQ(stale.generation, 1U);
  EXPECT_EQ(stale.surveyed_at, published_[0]->survey.run.surveyed_at);
  expect_answered(published_[1], "second");
  EXPECT_FALSE(published_[0]->survey.run.stale);
  EXPECT_FALSE(published_[2]->survey.run.stale);
  EXPECT_EQ(published_[2]->survey.run.generation, 2U);
}

TEST_F(SurveyorTest, HasNothingToMarkStaleBeforeTheFirstSurvey) {
  settings_.stale_after = 1ms;
  make();
  script().gates[1].shut();
  survey();
  ASSERT_EQ(published_.size(), 1U);
  EXPECT_FALSE(published_.front()->survey.run.stale);
}

TEST_F(SurveyorTest, SaysWhenItStopsThatAThreadIsStuck) {
  Surveyor& surveyor = make();
  script().gates[1].shut();
  survey();
  EXPECT_FALSE(surveyor.stop());
  script().gates[1].open();
  run_until([&surveyor] { return surveyor.stop(); });
  surveyor_.reset();
}

TEST_F(SurveyorTest, SurveysNoMoreOnceItHasStopped) {
  Surveyor& surveyor = make();
  EXPECT_TRUE(surveyor.stop());
  bool called = false;
  surveyor.survey([&called](const Published&) { called = true; });
  context().poll();
  EXPECT_FALSE(called);
  EXPECT_EQ(script().starts[0], 0);
  surveyor_.reset();
}

TEST_F(SurveyorTest, MayEndWhileAProbeRuns) {
  settings_.probe_deadline = 1h;
  script().gates[2].shut();
  make().survey();
  wait_for_start(2, 1);
  surveyor_.reset();
  context().poll();  // its timers
  script().gates[2].open();
  EXPECT_EQ(context().run_one_for(60s), 1U);  // what its worker has left to say
  EXPECT_TRUE(published_.empty());
}

TEST_F(SurveyorTest, PublishesASurveyWithoutProbes) {
  make({});
  EXPECT_TRUE(survey()->survey.findings.all().empty());
}

}  // namespace
}  // namespace surveyd::test
