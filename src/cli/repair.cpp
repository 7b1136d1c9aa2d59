#include "cli/repair.hpp"

#include <cerrno>
#include <exception>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace surveyd::cli {

void Repair::begin() {
  if (std::exchange(running_, true)) return;
  worker_.post([this] {
    Result<EnsureReport> report = os_error(ENOMEM, "ensure");
    try {
      const auto parent = tree_.inspect_container_parent();
      report = parent ? tree_.ensure(parent->placement) : parent.error();
    } catch (const std::exception&) {
      // Out of memory: the next survey tries again.
    }
    boost::asio::post(executor_, [this, report = std::move(report)] { end(report); });
  });
}

void Repair::end(const Result<EnsureReport>& report) {
  running_ = false;
  counters_.cgroup_operation("repair", report ? "ok" : "failed");
  if (report)
    spdlog::info("{} has been ensured again", report->container_parent);
  else
    spdlog::warn("the container parent cannot be repaired: {}", to_string(report.error()));
  surveyor_.survey();
}

}  // namespace surveyd::cli
