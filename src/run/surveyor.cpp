#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>

#include <boost/asio/post.hpp>

#include <surveyd/surveyor.hpp>

#include "probes/subject.hpp"
#include "run/verifier.hpp"
#include "run/worker.hpp"

namespace surveyd {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

/// One survey under way, shared between the executor's thread and the worker.
struct Surveyor::Run {
  // Set before the worker begins, and then only read.
  boost::asio::any_io_executor executor;
  Surveyor* surveyor = nullptr;  ///< touched on the executor's thread only
  const Host* host = nullptr;
  std::span<const Probe> probes;
  ContainerPlan plan;
  Render render;
  std::function<Findings(const Findings&)> replace_claims;
  std::function<ForeignSurvey()> source;
  std::set<std::size_t> skipped;  ///< their thread of an earlier survey is still stuck
  std::shared_ptr<std::set<std::size_t>> stuck;
  SurveyRun about;
  Published before;  ///< the last good one when this one began; null before the first
  steady_clock::time_point begun;

  std::mutex mutex;
  unsigned attempt = 0;     ///< a worker of an earlier attempt has been given up
  std::size_t current = 0;  ///< the probe that runs
  steady_clock::time_point current_since;
  std::vector<std::optional<Finding>> findings;
  Findings own;  ///< with a source
  Published result;
};

namespace {

using run::no_answer;

// Of one that hung: callers should not wait for long because of it.
constexpr milliseconds longest_rest{100};

Finding run_guarded(const Probe& probe, Subject& subject) {
  try {
    return run_probe(probe, subject);
  } catch (const std::exception& failure) {
    return no_answer(probe.id, ReasonCode::probe_failed,
                     std::string{"the probe failed: "} + failure.what());
  }
}

}  // namespace

Surveyor::Surveyor(boost::asio::any_io_executor executor, const Host& host,
                   std::span<const Probe> probes, SurveyorSettings settings, Render render,
                   Publish publish)
    : executor_(executor),
      host_(host),
      probes_(probes),
      settings_(std::move(settings)),
      render_(std::move(render)),
      publish_(std::move(publish)),
      worker_(std::make_unique<run::Worker>("survey")),
      stuck_(std::make_shared<std::set<std::size_t>>()),
      interval_timer_(executor),
      rest_timer_(executor),
      watchdog_(executor) {}

Surveyor::~Surveyor() {
  if (run_) run_->surveyor = nullptr;
}

void Surveyor::start() {
  due_ = steady_clock::now() + settings_.interval;
  begin();
  schedule();
}

void Surveyor::schedule() {
  interval_timer_.expires_at(due_);
  interval_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    due_ = steady_clock::now() + settings_.interval;
    if (!run_) begin();
    schedule();
  });
}

void Surveyor::survey(std::function<void(const Published&)> done) {
  if (stopped_) return;
  if (done) waiting_for_next_.push_back(std::move(done));
  again_ = true;
  begin_if_rested();
}

void Surveyor::begin_if_rested() {
  if (!again_ || run_ || stopped_) return;
  if (steady_clock::now() >= rested_at_) return begin();
  rest_timer_.expires_at(rested_at_);
  rest_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) begin_if_rested();
  });
}

void Surveyor::begin() {
  again_ = false;
  for (auto& done : std::exchange(waiting_for_next_, {})) waiting_.push_back(std::move(done));
  auto run = std::make_shared<Run>();
  run->executor = executor_;
  run->surveyor = this;
  run->host = &host_;
  run->probes = probes_;
  run->plan = settings_.plan;
  run->render = render_;
  run->replace_claims = settings_.replace_claims;
  run->source = settings_.source;
  run->skipped = *stuck_;
  run->stuck = stuck_;
  if (current_ && !current_->failure) run->before = current_;
  run->about.generation = ++generation_;
  run->about.interval = settings_.interval;
  run->about.surveyed_at = system_clock::now();
  run->begun = run->current_since = steady_clock::now();
  if (!run->source) run->findings.resize(probes_.size());
  run_ = run;
  worker_->post([run] { execute(run, 0, 0); });
  watch();
}

// On the worker.
void Surveyor::ask_source(Run& run) {
  ForeignSurvey foreign = run.source();
  run.about.subject = std::move(foreign.subject);
  std::shared_ptr<Snapshot> snapshot;
  if (foreign.findings) {
    for (const Finding& finding : foreign.findings->all()) run.findings.emplace_back(finding);
    run.own = std::move(foreign.own);
    snapshot = conclude_run(run);
  } else {
    // What only failed this time leaves the last good one, which becomes stale.
    if (foreign.findings.error().code != Fault::no_such_process && run.before) return;
    snapshot = std::make_shared<Snapshot>();
    snapshot->survey.run = run.about;
    snapshot->survey.own = std::move(foreign.own);
    snapshot->failure = foreign.findings.error();
  }
  run.result = std::move(snapshot);
}

// On the worker.
void Surveyor::execute(const std::shared_ptr<Run>& run, std::size_t from, unsigned attempt) {
  Subject subject{*run->host, run->plan};
  const std::size_t end = run->source ? from : run->probes.size();
  for (std::size_t i = from; i < end; ++i) {
    const Probe& probe = run->probes[i];
    {
      const std::lock_guard lock{run->mutex};
      run->current = i;
      run->current_since = steady_clock::now();
    }
    Finding finding = run->skipped.contains(i)
                          ? no_answer(probe.id, ReasonCode::timed_out,
                                      "timed out, and is still waiting for the kernel")
                          : run_guarded(probe, subject);
    const std::lock_guard lock{run->mutex};
    if (run->attempt != attempt) {
      // Given up while it hung; a later survey may try again.
      boost::asio::post(run->executor, [stuck = run->stuck, i] { stuck->erase(i); });
      return;
    }
    run->findings[i] = std::move(finding);
  }

  try {
    if (run->source)
      ask_source(*run);
    else
      run->result = conclude_run(*run);
  } catch (const std::exception&) {
    // Out of memory: this survey has no result, and the last good one stays.
  }
  boost::asio::post(run->executor, [run] {
    if (run->surveyor != nullptr) run->surveyor->finish(run);
  });
}

// On the worker.
std::shared_ptr<Snapshot> Surveyor::conclude_run(Run& run) {
  std::vector<Finding> all;
  all.reserve(run.findings.size());
  for (auto& finding : run.findings) all.push_back(std::move(*finding));
  Findings claims{std::move(all)};
  Findings findings = run.replace_claims ? run.replace_claims(claims) : claims;
  run.about.duration = steady_clock::now() - run.begun;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->survey = conclude(std::move(claims), std::move(findings), run.about);
  snapshot->survey.own = std::move(run.own);
  if (run.before) compare_with(run.before->survey, snapshot->survey);
  snapshot->documents = run.render(snapshot->survey);
  return snapshot;
}

void Surveyor::watch() {
  watchdog_.expires_after(next_look());
  watchdog_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_ || !run_) return;
    if (!run_->source) give_up_late_probe();
    if (steady_clock::now() - run_->begun >= settings_.stale_after) mark_stale();
    watch();
  });
}

milliseconds Surveyor::deadline_of(const Run& run) const {
  return std::max(settings_.probe_deadline / (1U << std::min(run.attempt, 4U)),
                  settings_.probe_deadline / 10);
}

// When the probe that runs now would be late; one that begins meanwhile is looked at again.
milliseconds Surveyor::next_look() const {
  if (run_->source) return settings_.probe_deadline;
  const std::lock_guard lock{run_->mutex};
  const milliseconds deadline = deadline_of(*run_);
  const auto left = run_->current_since + deadline - steady_clock::now();
  // Not at once: there may be no thread to go on with.
  return std::clamp(std::chrono::ceil<milliseconds>(left), std::min(milliseconds{10}, deadline),
                    deadline);
}

void Surveyor::give_up_late_probe() {
  Run& run = *run_;
  const std::lock_guard lock{run.mutex};
  const std::size_t late = run.current;
  const milliseconds deadline = deadline_of(run);
  if (run.findings[late] || steady_clock::now() - run.current_since < deadline) return;
  // Before anything is given up: without another thread there is nobody to go on with.
  std::unique_ptr<run::Worker> next;
  try {
    next = std::make_unique<run::Worker>("survey");
  } catch (const std::system_error&) {
    return;  // tried again at the next deadline
  }
  Finding finding =
      no_answer(run.probes[late].id, ReasonCode::timed_out,
                "timed out: no answer within " + std::to_string(deadline.count()) + " ms");
  finding.duration = steady_clock::now() - run.current_since;
  run.findings[late] = std::move(finding);
  stuck_->insert(late);
  const unsigned attempt = ++run.attempt;
  run.current_since = steady_clock::now();
  worker_ = std::move(next);
  worker_->post([shared = run_, late, attempt] { execute(shared, late + 1, attempt); });
}

// Rendered on a worker of its own: the other one may be the reason.
void Surveyor::mark_stale() {
  if (!current_ || current_->failure || current_->survey.run.stale || staleness_worker_) return;
  try {
    staleness_worker_ = std::make_unique<run::Worker>("survey");
  } catch (const std::system_error&) {
    return;  // tried again at the next deadline
  }
  staleness_worker_->post([this, executor = executor_, render = render_, good = current_] {
    auto stale = std::make_shared<Snapshot>();
    stale->survey = good->survey;
    stale->survey.run.stale = true;
    stale->documents = render(stale->survey);
    boost::asio::post(executor, [this, good, stale = std::move(stale)] {
      staleness_worker_.reset();
      if (stopped_ || current_ != good) return;  // a survey has finished after all
      current_ = stale;
      publish_(current_);
    });
  });
}

void Surveyor::finish(const std::shared_ptr<Run>& run) {
  if (run != run_) return;
  watchdog_.cancel();
  // Asio sets the kernel's timer when a first deadline comes, not when one goes: without this the
  // watchdog's would wake us up for nothing after each survey.
  if (!stopped_ && due_ != steady_clock::time_point{}) schedule();
  run_.reset();
  const auto now = steady_clock::now();
  rested_at_ = now + std::min<steady_clock::duration>(19 * (now - run->begun), longest_rest);
  if (run->result) {
    current_ = run->result;
    publish_(current_);
  } else {
    mark_stale();
  }
  for (auto& done : std::exchange(waiting_, {})) done(current_);
  begin_if_rested();
}

bool Surveyor::stop() {
  stopped_ = true;
  interval_timer_.cancel();
  rest_timer_.cancel();
  watchdog_.cancel();
  constexpr std::chrono::milliseconds patience{200};
  const bool ended = worker_->stop(patience);
  const bool rendered = !staleness_worker_ || staleness_worker_->stop(patience);
  return ended && rendered && stuck_->empty();
}

}  // namespace surveyd
