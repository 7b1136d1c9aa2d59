#pragma once

#include <boost/asio/io_context.hpp>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/surveyor.hpp>

#include "metrics/exposition.hpp"
#include "run/worker.hpp"

namespace surveyd::cli {

/// `--repair`: ensures again, at the placement in use, where a controller was lost. Never two at a
/// time. Belongs to the serving thread; what it uses outlives it.
class Repair {
 public:
  Repair(const boost::asio::io_context::executor_type& executor, CgroupTree& tree,
         run::Worker& worker, metrics::Counters& counters, Surveyor& surveyor)
      : executor_(executor),
        tree_(tree),
        worker_(worker),
        counters_(counters),
        surveyor_(surveyor) {}

  void begin();

 private:
  void end(const Result<EnsureReport>& report);

  boost::asio::io_context::executor_type executor_;
  CgroupTree& tree_;
  run::Worker& worker_;
  metrics::Counters& counters_;
  Surveyor& surveyor_;
  bool running_ = false;
};

}  // namespace surveyd::cli
