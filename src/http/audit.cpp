#include "http/audit.hpp"

#include <chrono>
#include <string>

#include <spdlog/spdlog.h>

namespace surveyd::http {
namespace {

class Budget {
 public:
  bool take(const char* outcome) {
    const auto now = std::chrono::steady_clock::now();
    if (now - second_ >= std::chrono::seconds{1}) {
      if (left_out_ > 0) spdlog::warn("audit: {} more were {}", left_out_, outcome);
      second_ = now;
      lines_ = left_out_ = 0;
    }
    if (++lines_ <= most_lines) return true;
    ++left_out_;
    return false;
  }

 private:
  static constexpr unsigned most_lines = 20;
  std::chrono::steady_clock::time_point second_{};
  unsigned lines_ = 0;
  unsigned left_out_ = 0;
};

}  // namespace

void audit(const Decision& decision) {
  static Budget allowed;  // only the serving thread comes here
  static Budget refused;
  const char* outcome = decision.allowed ? "allowed" : "refused";
  if (!(decision.allowed ? allowed : refused).take(outcome)) return;
  spdlog::info("audit: {} uid={} transport={} route=\"{} {}\"{}{}{}{}", outcome,
               decision.uid ? std::to_string(*decision.uid) : "unknown", decision.transport,
               decision.method, decision.route, decision.subject.empty() ? "" : " of ",
               decision.subject, decision.why.empty() ? "" : ": ", decision.why);
}

}  // namespace surveyd::http
