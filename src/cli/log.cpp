#include "cli/log.hpp"

#include <algorithm>
#include <climits>
#include <memory>
#include <mutex>

#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "json/documents.hpp"

namespace surveyd::cli {
namespace {

// A pipe that can be written takes PIPE_BUF bytes at once (pipe(7)).
constexpr std::size_t most_bytes = PIPE_BUF;
constexpr std::string_view after_message = "}\n";

/// At most `size` bytes of the text, and no part of a character.
std::string_view first_bytes(std::string_view text, std::size_t size) {
  if (size >= text.size()) return text;
  while (size > 0 && (text[size] & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

/// As a JSON string of at most `room` bytes; a message that is cut for that ends in "…".
std::string quoted(std::string_view message, std::size_t room) {
  constexpr std::size_t most_escaped = 6;  // what one byte may become: \u0000
  std::string_view kept = first_bytes(message, room);
  while (true) {
    const bool whole = kept.size() == message.size();
    std::string literal = json::string_literal(std::string{kept} + (whole ? "" : "…"));
    if (literal.size() <= room || kept.empty()) return literal;
    const std::size_t less = (literal.size() - room + most_escaped - 1) / most_escaped;
    kept = first_bytes(kept, kept.size() - std::min(kept.size(), less));
  }
}

// The message as a JSON string: control characters of a request cannot begin a new record or move a
// terminal's cursor.
class Quoted : public spdlog::custom_flag_formatter {
 public:
  explicit Quoted(bool with_quotes) : with_quotes_(with_quotes) {}

  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string literal = quoted({message.payload.data(), message.payload.size()},
                                       most_bytes - out.size() - after_message.size());
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

/// Standard error, without ever waiting for whoever reads it: a pipe that nobody empties must not
/// stop the daemon. What does not fit is left out and counted.
class UnblockedStderr : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t record;
    formatter_->format(message, record);
    if (left_out_ > 0) {
      const std::string note =
          std::to_string(left_out_) + " log records left out: nobody read them";
      spdlog::memory_buf_t formatted;
      formatter_->format({message.logger_name, spdlog::level::warn, note}, formatted);
      if (write(formatted)) left_out_ = 0;
    }
    if (!write(record)) ++left_out_;
  }
  void flush_() override {}

 private:
  static bool write(const spdlog::memory_buf_t& record) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
    return ::write(STDERR_FILENO, record.data(), record.size()) >= 0;
  }

  std::size_t left_out_ = 0;
};

}  // namespace

void start_log(const std::string& level, const std::string& format) {
  const bool json = format == "json";
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<Quoted>('*', json);
  formatter->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})"
                              : "%Y-%m-%dT%H:%M:%S.%eZ %l %*");
  auto logger = std::make_shared<spdlog::logger>("surveyd", std::make_shared<UnblockedStderr>());
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace surveyd::cli
