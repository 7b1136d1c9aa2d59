#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/surveyor.hpp>

#include "http/access.hpp"
#include "http/limits.hpp"
#include "http/response.hpp"
#include "metrics/exposition.hpp"
#include "run/worker.hpp"

namespace surveyd::http {

/// What the handlers work with. Used on the serving thread, but for the tree and the access rules,
/// which belong to the cgroup worker.
struct Service {
  Surveyor& surveyor;
  CgroupTree& tree;
  Access& access;
  run::Worker& cgroup_worker;
  metrics::Counters& counters;
  Limits limits;
  std::string unix_socket{};  ///< empty without one

  // Made ready with each snapshot; null before the first.
  std::shared_ptr<const Document> capabilities{};
  std::shared_ptr<const Document> daemon_capabilities{};
  std::chrono::steady_clock::time_point surveyed_at{};  ///< end of the last survey that finished
  std::map<std::string, std::shared_ptr<const Document>, std::less<>> page{};  ///< by path

  void publish(const Surveyor::Published& snapshot);
  void load_page();
};

}  // namespace surveyd::http
