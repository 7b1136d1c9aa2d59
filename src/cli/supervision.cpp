#include "cli/supervision.hpp"

#include <algorithm>

#include "cli/start_failure.hpp"
#include "host/service_manager.hpp"

namespace surveyd::cli {
namespace {

// Not at once: who has a full queue is busy.
constexpr std::chrono::microseconds until_again{500'000};

// What may get lost.
void say(const std::string& lines) {
  (void)notify_service_manager(lines);
}

// A message is lines, and a reason may hold a name with a line feed in it.
std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::string status_line(const Snapshot& snapshot) {
  const Survey& survey = snapshot.survey;
  if (snapshot.failure)
    return in_one_line(survey.run.subject + " cannot be surveyed: " + to_string(*snapshot.failure));
  const auto count = [&survey](Status status) {
    return std::to_string(
        std::count_if(survey.findings.all().begin(), survey.findings.all().end(),
                      [status](const Finding& one) { return one.status == status; }));
  };
  return std::string{"assessed_mode "} + to_string(survey.assessment.mode) + ", effective_mode " +
         to_string(survey.capabilities.effective_mode) + "; findings: " + count(Status::yes) +
         " yes, " + count(Status::no) + " no, " + count(Status::unknown) + " unknown" +
         (survey.run.stale ? "; stale: a survey takes too long" : "");
}

Supervision::Supervision(boost::asio::io_context& context) : watchdog_(context), again_(context) {
  const auto watchdog = take_watchdog();
  if (!watchdog) throw StartFailure("cannot feed the watchdog: " + to_string(watchdog.error()));
  say("STATUS=Making the first survey");
  if (*watchdog) {
    // A timer of 0 would never let anything else happen.
    interval_ = std::max(**watchdog / 2, std::chrono::microseconds{1000});
    feed_watchdog();
  }
}

// By the loop that serves: when it hangs, there is no sign of life.
void Supervision::feed_watchdog() {
  const bool heard = notify_service_manager("WATCHDOG=1");
  watchdog_.expires_after(heard ? *interval_ : std::min(*interval_, until_again));
  watchdog_.async_wait([this](const boost::system::error_code& error) {
    if (!error) feed_watchdog();
  });
}

void Supervision::surveyed(const Snapshot& snapshot) {
  if (stopping_) return;
  const std::string status = status_line(snapshot);
  owes_status_ |= status != status_;
  status_ = status;
  if (!ready_ && !snapshot.failure) ready_ = owes_ready_ = true;
  tell();
}

// A start and a reload last until READY=1 arrives.
void Supervision::tell() {
  again_.cancel();
  if (stopping_ || (!owes_ready_ && !owes_status_)) return;
  const std::string ready = owes_ready_ ? "READY=1\n" : "";
  if (notify_service_manager(ready + (owes_status_ ? "STATUS=" + status_ : ""))) {
    owes_ready_ = owes_status_ = false;
    return;
  }
  again_.expires_after(until_again);
  again_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tell();
  });
}

void Supervision::reloading(unsigned things) {
  reloads_ += things;
  // Before it is ready, the first survey is what the service manager waits for.
  if (!ready_ || stopping_) return;
  owes_ready_ = false;  // `reloaded` says it
  say(reloading_message());
}

void Supervision::reloaded() {
  if (--reloads_ > 0 || !ready_) return;
  owes_ready_ = true;
  tell();
}

void Supervision::stopping(const std::string& status) {
  say((stopping_ ? "STATUS=" : "STOPPING=1\nSTATUS=") + status);
  stopping_ = true;
}

}  // namespace surveyd::cli
