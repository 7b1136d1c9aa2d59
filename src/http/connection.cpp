#include "http/connection.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <spdlog/spdlog.h>

#include "http/access.hpp"
#include "http/audit.hpp"
#include "http/on_worker.hpp"
#include "http/problem.hpp"
#include "http/rejection.hpp"
#include "http/strictness.hpp"

namespace surveyd::http {
namespace {

namespace asio = boost::asio;

constexpr std::size_t first_input_size = 2 * 1024;  // a plain request fits many times
// An idle connection keeps its buffers for so long.
constexpr std::chrono::seconds idle_memory{1};
// What expire() is early by, and what was written may have waited for its first look: a deadline is
// kept early rather than late.
constexpr std::chrono::milliseconds first_look = looked_ahead + looked_ahead / 2;
constexpr std::chrono::milliseconds between_looks{100};
// Of pipelined requests, before the other connections get their turn.
constexpr unsigned most_in_a_row = 16;
// Pipelined answers are gathered up to here before they are written.
constexpr std::size_t most_gathered = 16 * 1024;

std::string_view method_label(verb method) {
  if (method == verb::unknown) return "other";
  const auto name = boost::beast::http::to_string(method);
  return {name.data(), name.size()};
}

Response too_busy(const WorkerBusy& busy) {
  Response response = problem(503, "busy", busy.what());
  response.headers = "Retry-After: 1\r\n";
  return rejected("busy", std::move(response));
}

}  // namespace

Connection::Connection(Service& service, Stream stream, std::shared_ptr<const Listener> listener,
                       std::shared_ptr<const Peer> peer)
    : service_(service),
      stream_(std::move(stream)),
      caller_{std::move(listener), std::move(peer)},
      input_(first_input_size) {
  enter(Phase::idle);
}

Task<> Connection::serve() {
  if (stream_.is_encrypted() && !co_await shake_hands()) co_return;
  for (std::size_t served = 1;; ++served) {
    RequestParser parser{request_, service_.limits};
    begun_ = head_done_ = message_done_ = false;
    wire_bytes_ = scanned_ = head_size_ = 0;
    Step step = begin_ < end_ ? advance(parser) : Step::need_input;
    while (step == Step::need_input) {
      if (!output_.empty() && !co_await flush()) co_return;
      if (phase_ == Phase::idle && begin_ < end_) enter(Phase::head);
      if (draining_ && has_served_ && phase_ == Phase::idle) co_return co_await close();
      const auto [error, size] = co_await stream_.async_read_some(input_space());
      if (timed_out_ && phase_ != Phase::idle) {
        step = refuse(phase_ == Phase::head ? "head_timeout" : "body_timeout",
                      problem(408, "timed-out", "the request did not arrive in time"));
        break;
      }
      if (error) {
        finish_reading(error);
        co_return co_await close();
      }
      const bool was_idle = phase_ == Phase::idle;
      const Clock::time_point idle_until = deadline_;
      if (was_idle) {
        timed_out_ = false;  // it came at the last moment
        enter(Phase::head);
      }
      end_ += size;
      step = advance(parser);
      if (was_idle && begin_ == end_ && step == Step::need_input && !head_done_) {
        // Nothing but the empty line after a body: the next request has not begun.
        phase_ = Phase::idle;
        deadline_ = idle_until;
      }
    }

    const auto begun = Clock::now();
    has_served_ = holds_memory_ = true;
    enter(Phase::handling, begun);
    Response response;
    if (step == Step::refused)
      response = std::move(refusal_);
    else if (service_.rules.owner_reads && !routed_.endpoint->restricted)
      response = co_await answer_if_may_read();
    else if (routed_.endpoint->answer != nullptr)
      response = answer();
    else
      response = co_await work();
    const bool last = served >= service_.limits.requests_per_connection;
    const bool keep =
        message_done_ && request_.keep_alive && !response.close && !draining_ && !last;
    if (!response.rejection.empty()) service_.counters.rejected(response.rejection);
    if (last) service_.counters.rejected("request_count");
    append(output_, response, request_, keep);
    const auto answered = Clock::now();
    service_.counters.request(method_label(request_.method), routed_.route, response.status,
                              answered - begun);
    if (!keep) break;
    if ((begin_ == end_ || output_.size() > most_gathered) && !flush_at_once(answered) &&
        !co_await flush())
      co_return;
    enter(Phase::idle, answered);
    if (begin_ == end_ ? !is_alone() : ++in_a_row_ >= most_in_a_row) {
      in_a_row_ = 0;
      co_await asio::post(completion);
    }
  }
  if (co_await flush()) co_await close();
}

// Takes what is there. The head decides first, and alone: what follows it changes no refusal,
// however it arrives.
Connection::Step Connection::advance(RequestParser& parser) {
  if (head_size_ == 0)
    if (const Step step = find_head(); step != Step::complete) return step;
  const char* const head = input_.data() + begin_;
  const bool is_first = !head_done_;
  if (is_first)
    if (const Step step = take_head(parser); step != Step::complete) return step;
  if (!message_done_)
    if (const Step step = take_body(parser); step != Step::complete) return step;
  if (message_done_) return Step::complete;
  if (is_first) {
    request_.detach({head, head_size_});  // the buffer is needed for the body
    if (request_.expects_continue()) output_ += "HTTP/1.1 100 Continue\r\n\r\n";
    enter(Phase::body);
  }
  return Step::need_input;
}

Connection::Step Connection::take_head(RequestParser& parser) {
  boost::system::error_code error;
  const std::string_view head{input_.data() + begin_, head_size_};
  begin_ += parser.parse(head, error);
  wire_bytes_ = head_size_;
  if (error) return refuse(head_problem(head, error));
  head_done_ = true;
  message_done_ = parser.is_done();
  caller_.has_token = carries_token(request_, service_.token);
  routed_ = route(request_, *caller_.listener, service_.unix_socket);
  if (routed_.refusal) {
    refusal_ = std::move(*routed_.refusal);
    // Whoever asked for what is restricted gets a line in the log, as those do who are asked who
    // they are.
    if (routed_.endpoint != nullptr && routed_.endpoint->restricted)
      audit({false,
             uid_at_accept(*caller_.peer),
             caller_.listener->label(),
             request_.method_text,
             routed_.route,
             {},
             "as answered with status " + std::to_string(refusal_.status)});
    return Step::refused;
  }
  if (request_.expects_other_than_continue())
    return refuse("expectation",
                  problem(417, "unknown-expectation", "only 100-continue can be expected"));
  return Step::complete;
}

Connection::Step Connection::take_body(RequestParser& parser) {
  if (begin_ < end_) {
    boost::system::error_code error;
    const std::size_t taken = parser.parse({input_.data() + begin_, end_ - begin_}, error);
    begin_ += taken;
    wire_bytes_ += taken;
    if (error) return refuse(parse_problem(error));
  }
  message_done_ = parser.is_done();
  // Whatever a request consists of, it ends: chunk extensions and trailers count as well. What is
  // behind its end belongs to the next one.
  const std::size_t pending = message_done_ ? 0 : end_ - begin_;
  const bool no_space = begin_ == 0 && end_ == most_input;
  if (wire_bytes_ + pending > service_.limits.request_bytes || (no_space && !message_done_))
    return refuse("request_too_large",
                  problem(400, "bad-request", "the request is too long as a whole"));
  return Step::complete;
}

// The parser gets a head only once it is whole: it would take a partial one line by line, and what
// it has seen already could not move any more. `complete` means that there is a whole head.
Connection::Step Connection::find_head() {
  const auto size = [this] { return end_ - begin_; };
  // Some clients end a body with an empty line that is not counted (RFC 9112, 2.2). One is skipped,
  // however it arrives.
  if (!begun_) {
    if (size() == 0 || (size() == 1 && input_[begin_] == '\r')) return Step::need_input;
    if (input_[begin_] == '\r' && input_[begin_ + 1] == '\n') begin_ += 2;
    begun_ = true;
  }
  const std::size_t limit = service_.limits.head_bytes;
  while (scanned_ < size()) {
    const char* from = input_.data() + begin_ + scanned_;
    const auto* feed = static_cast<const char*>(std::memchr(from, '\n', size() - scanned_));
    scanned_ = feed == nullptr ? size() : static_cast<std::size_t>(feed - from) + scanned_ + 1;
    if (feed == nullptr) break;
    if (scanned_ < 2 || feed[-1] != '\r')
      return refuse("malformed", problem(400, "bad-request", "a line ends with a line feed alone"));
    const bool end = scanned_ >= 4 && feed[-2] == '\n';
    if (end && scanned_ > limit) break;
    if (!end) continue;
    head_size_ = scanned_;
    const auto violation = violation_in_head({input_.data() + begin_, head_size_});
    if (!violation) return Step::complete;
    return refuse("malformed", problem(400, "bad-request", std::string{*violation}));
  }
  // One of just the limit would have ended by now.
  return scanned_ >= limit ? refuse(head_too_long()) : Step::need_input;
}

Response Connection::head_too_long() const {
  const std::string_view head{input_.data() + begin_,
                              std::min(end_ - begin_, service_.limits.head_bytes)};
  const std::string limit = std::to_string(service_.limits.head_bytes) + " bytes";
  if (head.find("\r\n") == std::string_view::npos)
    return rejected("target_too_long",
                    problem(414, "too-long", "a target is shorter than " + limit));
  return rejected(
      "head_too_large",
      problem(431, "too-large", "a request head has at most " + limit + " and 64 fields"));
}

Connection::Step Connection::refuse(std::string_view reason, Response response) {
  return refuse(rejected(reason, std::move(response)));
}

Connection::Step Connection::refuse(Response response) {
  refusal_ = std::move(response);
  refusal_.close = true;
  if (!head_done_) {
    request_.method = verb::unknown;
    request_.version = 11;
    routed_ = {};
  }
  return Step::refused;
}

Response Connection::parse_problem(const boost::system::error_code& error) const {
  using boost::beast::http::error::bad_version;
  using boost::beast::http::error::body_limit;
  using boost::beast::http::error::header_limit;
  if (error == make_error_code(bad_version))
    return rejected("version",
                    problem(505, "bad-version", "only HTTP/1.0 and HTTP/1.1 are spoken here"));
  if (error == make_error_code(body_limit))
    return rejected(
        "body_too_large",
        problem(413, "too-large",
                "a body has at most " + std::to_string(service_.limits.body_bytes) + " bytes"));
  if (error == make_error_code(header_limit)) return head_too_long();
  return rejected("malformed", problem(400, "bad-request", "not a request: " + error.message()));
}

// What is meant for another server is not judged by what this one can do (RFC 9110, 7.4).
Response Connection::head_problem(std::string_view head,
                                  const boost::system::error_code& error) const {
  const std::string_view host = host_in_head(head);
  const bool is_ours = std::any_of(
      caller_.listener->hosts.begin(), caller_.listener->hosts.end(),
      [host](const std::string& own) {
        return boost::beast::iequals({own.data(), own.size()}, {host.data(), host.size()});
      });
  if (!host.empty() && !is_ours)
    if (auto misdirected = refuse_host(request_, *caller_.listener, host))
      return std::move(*misdirected);
  return parse_problem(error);
}

void Connection::enter(Phase phase, Clock::time_point now) {
  const Limits& limits = service_.limits;
  phase_ = phase;
  switch (phase) {
    case Phase::handshake:
      deadline_ = now + (draining_ ? limits.drain_patience : limits.head_deadline);
      break;
    case Phase::idle:
      deadline_ = now + (draining_ ? limits.drain_patience : limits.idle_deadline);
      break;
    case Phase::head:
      deadline_ = now + limits.head_deadline;
      break;
    case Phase::body:
      deadline_ = now + limits.body_deadline;
      break;
    case Phase::writing:
      deadline_ = now + limits.write_deadline;
      break;
    case Phase::lingering:
      deadline_ = now + limits.linger_deadline;
      break;
    case Phase::handling:  // what is waited for has a deadline of its own
      deadline_ = Clock::time_point::max();
      break;
  }
  service_.look_by(deadline_);
}

Connection::Clock::time_point Connection::expire(Clock::time_point now) {
  const int socket = stream_.socket().native_handle();
  if (untaken_.takes_too_long(socket, now, service_.limits.write_deadline - first_look)) {
    reset();
    return Clock::time_point::max();
  }
  if (now >= deadline_) end_phase();
  // What is written is looked after until it is taken, and so is what is being ended.
  if (!untaken_.is_settled() || now >= deadline_) return now;
  const auto forgetting = deadline_ - service_.limits.idle_deadline + idle_memory;
  if (phase_ != Phase::idle || !holds_memory_) return deadline_;
  if (now < forgetting) return forgetting;
  release_memory();
  return deadline_;
}

void Connection::end_phase() {
  switch (phase_) {
    case Phase::writing:
      return reset();
    case Phase::lingering:
      if (untaken_.is_settled()) return abort();
      break;  // what has been answered may still be taken
    case Phase::idle:
      if (!timed_out_) service_.counters.rejected("idle_timeout");
      break;
    default:
      break;
  }
  timed_out_ = true;
  boost::system::error_code ignored;
  stream_.socket().cancel(ignored);
}

// Of an idle connection: what a large request or answer needed once.
void Connection::release_memory() {
  output_.shrink_to_fit();
  request_.shrink();
  ++service_.released;
  holds_memory_ = false;
}

// The kernel would keep what was written for minutes, for a peer that takes none of it.
void Connection::reset() {
  service_.counters.rejected("write_timeout");
  boost::system::error_code ignored;
  stream_.socket().set_option(asio::socket_base::linger{true, 0}, ignored);
  abort();
}

void Connection::drain() {
  draining_ = true;
  if (phase_ != Phase::idle && phase_ != Phase::handshake) return;
  if (!has_served_) return enter(phase_);
  // What has arrived is read next, and answered.
  boost::system::error_code ignored;
  Socket& socket = stream_.socket();
  if (socket.available(ignored) == 0) socket.cancel(ignored);
}

void Connection::abort() {
  boost::system::error_code ignored;
  stream_.socket().close(ignored);
}

// Bounded: the parser refuses a longer head before the space runs out.
asio::mutable_buffer Connection::input_space() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (phase_ == Phase::idle && input_.size() > first_input_size) {
      input_.resize(first_input_size);
      input_.shrink_to_fit();
    }
  } else if (end_ == input_.size() && begin_ > 0) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  } else if (end_ == input_.size()) {
    input_.resize(std::min(input_.size() * 4, most_input));
  }
  return asio::buffer(input_.data() + end_, input_.size() - end_);
}

Exchange Connection::exchange() {
  return {service_, request_, caller_, routed_.route, routed_.parameter, routed_.query, {}};
}

// Under the deadline of a head: until it is done, nothing of a request can arrive.
Task<bool> Connection::shake_hands() {
  enter(Phase::handshake);
  const auto [error] = co_await stream_.async_handshake();
  if (error) {
    service_.counters.rejected("tls_handshake");
    abort();
    co_return false;
  }
  enter(Phase::idle);
  co_return true;
}

// Whether nobody else has been answered since this was asked the last time. Otherwise the others go
// first: their answers take as long as a client needs for its next request, and then the read finds
// it. Right after an answer it finds nothing, at the price of a system call.
bool Connection::is_alone() {
  const std::uint64_t before = std::exchange(answered_, ++service_.answered);
  return answered_ == before + 1;
}

Response Connection::answer() {
  Exchange now = exchange();
  return routed_.endpoint->answer(now);
}

Task<Response> Connection::work() {
  Exchange now = exchange();
  try {
    Task<Response> task = routed_.endpoint->work(now);
    co_return co_await std::move(task);
  } catch (const WorkerBusy& busy) {
    co_return too_busy(busy);
  } catch (const std::exception& failure) {
    // The last boundary: one request ends, the daemon does not.
    spdlog::error("{} failed: {}", routed_.route, failure.what());
  }
  co_return problem(500, "internal", "surveyd failed; its log says why");
}

Task<Response> Connection::answer_if_may_read() {
  Exchange now = exchange();
  try {
    std::optional<Response> refusal = co_await refuse_reader(now);
    if (refusal) co_return std::move(*refusal);
  } catch (const WorkerBusy& busy) {
    co_return too_busy(busy);
  }
  if (routed_.endpoint->answer != nullptr) co_return answer();
  co_return co_await work();
}

// What nearly every answer takes: no turn through the loop, and no coroutine.
bool Connection::flush_at_once(Clock::time_point now) {
  const std::size_t sent = stream_.write_at_once(asio::buffer(output_));
  untaken_.wrote(sent);
  service_.look_by(now + looked_ahead);
  if (sent < output_.size()) {
    output_.erase(0, sent);
    return false;
  }
  output_.clear();
  if (output_.capacity() > most_gathered) output_.shrink_to_fit();
  return true;
}

Task<bool> Connection::flush() {
  // What was waited for before goes on afterwards: a 100 Continue extends no deadline.
  const Phase phase = phase_;
  const Clock::time_point deadline = deadline_;
  enter(Phase::writing);
  std::size_t sent = 0;
  while (sent < output_.size()) {
    const auto [error, size] = co_await stream_.async_write_some(
        asio::buffer(output_.data() + sent, output_.size() - sent));
    if (error) {
      abort();
      co_return false;
    }
    sent += size;
    untaken_.wrote(size);
  }
  output_.clear();
  if (output_.capacity() > most_gathered) output_.shrink_to_fit();
  phase_ = phase;
  deadline_ = deadline;
  co_return true;
}

// Closing with unread input makes the kernel send a reset, which can overtake the last answer; and
// closing with an answer that is not taken leaves it with the kernel for minutes.
Task<> Connection::close() {
  enter(Phase::lingering);
  if (stream_.is_encrypted()) (void)co_await stream_.async_shutdown();
  boost::system::error_code ignored;
  Socket& socket = stream_.socket();
  socket.shutdown(Socket::shutdown_send, ignored);
  timed_out_ = false;
  std::size_t drained = 0;
  while (!peer_finished_ && !timed_out_ && drained < service_.limits.linger_bytes) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(input_), completion);
    if (error) finish_reading(error);
    drained += size;
  }
  // Until it is taken, or expire() has had enough. There is no event for that.
  Timer pause{co_await asio::this_coro::executor};
  while (!peer_gone_ && socket.is_open() && waits_for_peer(socket.native_handle())) {
    pause.expires_after(between_looks);
    co_await pause.async_wait(completion);
  }
  socket.close(ignored);
}

void Connection::finish_reading(const boost::system::error_code& error) {
  peer_finished_ = true;
  peer_gone_ = error != asio::error::eof && error != asio::error::operation_aborted;
}

}  // namespace surveyd::http
