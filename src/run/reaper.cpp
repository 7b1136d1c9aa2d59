#include "run/reaper.hpp"

#include <algorithm>
#include <cerrno>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "run/worker.hpp"

namespace surveyd::run {
namespace {

constexpr std::chrono::milliseconds first_pause{1};
constexpr std::chrono::milliseconds longest_pause{10'000};

}  // namespace

struct Reaper::Remnant {
  Remnant(const boost::asio::any_io_executor& executor, ContainerId container, std::uint64_t number)
      : id(std::move(container)), inode(number), timer(executor), events(executor) {}

  ContainerId id;
  std::uint64_t inode;
  boost::asio::steady_timer timer;
  /// A duplicate: the worker may close its own while this one is waited on.
  boost::asio::posix::stream_descriptor events;
  std::chrono::milliseconds pause = first_pause;
  bool awaiting = false;
  std::vector<Done> waiting;
};

Reaper::Reaper(boost::asio::any_io_executor executor, CgroupTree& tree, Worker& worker)
    : executor_(std::move(executor)), tree_(tree), worker_(worker) {}

Reaper::~Reaper() = default;

void Reaper::adopt(const ContainerId& id, const RemovalStep& step, Done done) {
  if (const auto known = remnants_.find(step.inode); known != remnants_.end()) {
    known->second->waiting.push_back(std::move(done));
    return;
  }
  const auto remnant = std::make_shared<Remnant>(executor_, id, step.inode);
  remnant->waiting.push_back(std::move(done));
  const int descriptor = step.events ? step.events->descriptor() : -1;
  const int copy = descriptor < 0 ? -1 : ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  boost::system::error_code unwatched;
  if (copy >= 0) remnant->events.assign(copy, unwatched);
  if (unwatched) ::close(copy);  // the timer alone has to do
  remnants_.emplace(step.inode, remnant);
  await(remnant);
}

std::set<std::string> Reaper::pending() const {
  std::set<std::string> ids;
  for (const auto& [_, remnant] : remnants_) ids.insert(remnant->id.str());
  return ids;
}

void Reaper::await(const std::shared_ptr<Remnant>& remnant) {
  remnant->awaiting = true;
  const auto wake = [this, remnant](const boost::system::error_code&) {
    // Whichever comes first; the other one is cancelled by it.
    if (!std::exchange(remnant->awaiting, false)) return;
    remnant->timer.cancel();
    if (remnant->events.is_open()) remnant->events.cancel();
    step(remnant);
  };
  remnant->timer.expires_after(remnant->pause);
  remnant->timer.async_wait(wake);
  remnant->pause = std::min(2 * remnant->pause, longest_pause);
  // poll(2) says POLLPRI when the cgroup's events change.
  if (remnant->events.is_open())
    remnant->events.async_wait(boost::asio::posix::stream_descriptor::wait_error, wake);
}

void Reaper::step(const std::shared_ptr<Remnant>& remnant) {
  worker_.post([this, remnant, executor = executor_] {
    auto taken = std::make_shared<Result<RemovalStep>>(os_error(ENOMEM, "remove"));
    try {
      *taken = tree_.continue_removal(remnant->id, remnant->inode);
    } catch (const std::exception&) {
      // Out of memory: the next step may fare better.
      *taken = RemovalStep{};
    }
    boost::asio::post(executor, [this, remnant, taken] {
      if (!*taken)
        finish(remnant, taken->error());
      else if ((*taken)->done)
        finish(remnant, Removal{remnant->id.str(), true});
      else if ((*taken)->cut_short)
        this->step(remnant);  // others had their turn in between
      else
        await(remnant);
    });
  });
}

void Reaper::finish(const std::shared_ptr<Remnant>& remnant, const Result<Removal>& outcome) {
  remnants_.erase(remnant->inode);
  for (const Done& done : std::exchange(remnant->waiting, {})) done(outcome);
}

}  // namespace surveyd::run
