#include "json/text.hpp"

#include <array>
#include <ctime>

namespace surveyd::json {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& document) {
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string timestamp(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  const auto since_epoch = duration_cast<milliseconds>(when.time_since_epoch()).count();
  const std::time_t seconds = since_epoch / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text;
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string milliseconds_part = std::to_string(1000 + since_epoch % 1000).substr(1);
  return std::string(text.data(), size) + "." + milliseconds_part + "Z";
}

ordered_json about(const SurveyRun& run) {
  using std::chrono::duration_cast;
  return {{"generation", run.generation},
          {"surveyed_at", timestamp(run.surveyed_at)},
          {"duration_us", duration_cast<std::chrono::microseconds>(run.duration).count()},
          {"interval_s", run.interval.count()},
          {"stale", run.stale},
          {"subject", run.subject}};
}

}  // namespace surveyd::json
