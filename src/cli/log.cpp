#include "cli/log.hpp"

#include <memory>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "json/documents.hpp"

namespace surveyd::cli {
namespace {

// The message as a JSON string: control characters of a request cannot begin a new record or move a
// terminal's cursor.
class Quoted : public spdlog::custom_flag_formatter {
 public:
  explicit Quoted(bool with_quotes) : with_quotes_(with_quotes) {}

  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string literal =
        json::string_literal({message.payload.data(), message.payload.size()});
    std::string_view text{literal};
    if (!with_quotes_) text = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < text.size(); ++i) {
      // For people, quotation marks stay as they are; everything else stays escaped.
      if (!with_quotes_ && text[i] == '\\' && text[i + 1] == '"') ++i;
      out.push_back(text[i]);
    }
  }

  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Quoted>(with_quotes_);
  }

 private:
  bool with_quotes_;
};

}  // namespace

void start_log(const std::string& level, const std::string& format) {
  const bool json = format == "json";
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<Quoted>('*', json);
  formatter->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})"
                              : "%Y-%m-%dT%H:%M:%S.%eZ %l %*");
  auto logger = std::make_shared<spdlog::logger>("surveyd",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace surveyd::cli
