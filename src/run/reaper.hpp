#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include <surveyd/cgroup_tree.hpp>

namespace surveyd::run {

class Worker;

/// Goes on with removals by force until they are done, however long that takes: each step is short
/// and runs on the worker that owns the tree, and between two steps nobody waits for anybody. All
/// members are called on the executor's thread.
class Reaper {
 public:
  using Done = std::function<void(const Result<Removal>&)>;

  /// `tree` and `worker` outlive it.
  Reaper(boost::asio::any_io_executor executor, CgroupTree& tree, Worker& worker);
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;
  ~Reaper();

  /// After a first step that was not the last: steps again when the cgroup's events change, and
  /// from 1 ms on at doubling intervals, up to 10 s. `done` gets the outcome.
  void adopt(const ContainerId& id, const RemovalStep& step, Done done);

  /// The ids of what is still being removed.
  [[nodiscard]] std::set<std::string> pending() const;
  [[nodiscard]] std::size_t pending_count() const { return remnants_.size(); }

 private:
  struct Remnant;

  void await(const std::shared_ptr<Remnant>& remnant);
  void step(const std::shared_ptr<Remnant>& remnant);
  void finish(const std::shared_ptr<Remnant>& remnant, const Result<Removal>& outcome);

  boost::asio::any_io_executor executor_;
  CgroupTree& tree_;
  Worker& worker_;
  std::map<std::uint64_t, std::shared_ptr<Remnant>> remnants_;  ///< by inode
};

}  // namespace surveyd::run
