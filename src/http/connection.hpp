#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/peer.hpp"
#include "http/request.hpp"
#include "http/router.hpp"
#include "http/service.hpp"
#include "http/stream.hpp"
#include "http/task.hpp"
#include "http/untaken.hpp"

namespace surveyd::http {

/// One client, from accept to close: takes requests out of a bounded buffer, one at a time, and
/// answers them in order; what arrives together is answered in one write.
class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(Service& service, Stream stream, std::shared_ptr<const Listener> listener,
             std::shared_ptr<const Peer> peer);

  /// Serves until the connection ends. It must outlive the coroutine.
  [[nodiscard]] Task<> serve();

  /// Ends what has lasted too long by `now`, and says when it wants to be looked at again: no timer
  /// of its own to rearm. One whose time gets shorter tells the service.
  Clock::time_point expire(Clock::time_point now);

  /// No more requests after the current one. A connection without one closes, after a moment when
  /// it is so new that its first request may be on the way.
  void drain();

  /// Ends it at once, whatever it does.
  void abort();

  [[nodiscard]] const Listener& listener() const { return *caller_.listener; }

 private:
  enum class Phase { handshake, idle, head, body, handling, writing, lingering };
  enum class Step { need_input, complete, refused };

  Step advance(RequestParser& parser);
  Step find_head();
  Step take_head(RequestParser& parser);
  Step take_body(RequestParser& parser);
  Step refuse(Response response);
  Step refuse(std::string_view reason, Response response);
  Response parse_problem(const boost::system::error_code& error) const;
  Response head_problem(std::string_view head, const boost::system::error_code& error) const;
  Response head_too_long() const;
  void enter(Phase phase, Clock::time_point now = Clock::now());
  void end_phase();
  void release_memory();
  void reset();
  void finish_reading(const boost::system::error_code& error);
  [[nodiscard]] boost::asio::mutable_buffer input_space();
  [[nodiscard]] Exchange exchange();
  Task<bool> shake_hands();
  [[nodiscard]] bool is_alone();
  [[nodiscard]] Response answer();
  Task<Response> work();
  Task<Response> answer_if_may_read();
  [[nodiscard]] bool flush_at_once(Clock::time_point now);
  Task<bool> flush();
  Task<> close();

  Service& service_;
  Stream stream_;
  Caller caller_;

  std::vector<char> input_;
  std::size_t begin_ = 0;  ///< of what has not been parsed yet
  std::size_t end_ = 0;
  std::string output_;

  Request request_;
  Routed routed_;
  Response refusal_;
  std::size_t wire_bytes_ = 0;  ///< that were taken of the request that is being read
  std::size_t scanned_ = 0;     ///< how far the end of the head has been looked for
  std::size_t head_size_ = 0;   ///< 0 until it has been found
  bool begun_ = false;          ///< an empty line before the request is behind us
  bool head_done_ = false;
  bool message_done_ = false;  ///< nothing of the current request is left to read

  std::uint64_t answered_ = 0;  ///< `Service::answered` after the last answer
  unsigned in_a_row_ = 0;       ///< pipelined requests since others had their turn

  Phase phase_ = Phase::idle;
  Clock::time_point deadline_;
  Untaken untaken_;
  bool timed_out_ = false;
  bool holds_memory_ = false;  ///< of the last request and its answer
  bool has_served_ = false;
  bool draining_ = false;
  bool peer_finished_ = false;  ///< will send no more
  bool peer_gone_ = false;      ///< will take no more either
};

}  // namespace surveyd::http
