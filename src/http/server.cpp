#include "http/server.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "host/program_pages.hpp"
#include "http/rejection.hpp"

namespace surveyd::http {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds accept_backoff{100};
constexpr std::chrono::seconds between_accept_errors{10};  // in the log
// Of the kernel, for what a client has not taken yet. Left to itself it would be megabytes.
constexpr int send_buffer = 64 * 1024;
// So many connections at a time leave memory behind that is worth giving back.
constexpr std::size_t crowd = 64;

constexpr std::string_view full_house =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: application/problem+json\r\n"
    "Content-Length: 143\r\n"
    "Retry-After: 1\r\n"
    "Connection: close\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "\r\n"
    "{\n"
    "  \"type\": \"urn:surveyd:problem:overloaded\",\n"
    "  \"title\": \"Service Unavailable\",\n"
    "  \"status\": 503,\n"
    "  \"detail\": \"too many connections are open\"\n"
    "}\n";

UniqueFd open_spare() {
  return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

bool ran_out_of_descriptors(const boost::system::error_code& error) {
  return error.value() == EMFILE || error.value() == ENFILE;
}

// Whoever asks for another one has been led here by a name of somebody else's (DNS rebinding): this
// machine's browsers reach such an address, and show a page what they get.
std::vector<std::string> loopback_hosts(const TcpAddress& address, std::string_view default_port) {
  const std::string port = ":" + std::to_string(address.end.port);
  const std::string own = to_string(address);
  std::vector<std::string> hosts;
  for (const std::string& host : {std::string{"127.0.0.1"}, std::string{"localhost"},
                                  std::string{"[::1]"}, own.substr(0, own.size() - port.size())}) {
    hosts.push_back(host + port);
    if (port == default_port) hosts.push_back(host);  // clients leave it out
  }
  return hosts;
}

}  // namespace

Server::Server(asio::io_context& context, Service& service)
    : context_(context),
      service_(service),
      spare_(open_spare()),
      sweep_timer_(context),
      room_timer_(context),
      drain_timer_(context) {
  for (const std::string_view reason : rejections) service.counters.rejected(reason, 0);
  service.next_look = Connection::Clock::time_point::max();
  service.look_sooner = [this](Connection::Clock::time_point deadline) { sweep_for(deadline); };
}

std::string Server::add_loopback(UniqueFd socket, const TcpAddress& address) {
  Listener listener;
  listener.transport = Transport::loopback;
  listener.name = "http://" + to_string(address);
  listener.hosts = loopback_hosts(address, ":80");
  return add(std::move(socket), address.ipv6 ? AF_INET6 : AF_INET, std::move(listener));
}

std::string Server::add_remote(UniqueFd socket, const TcpAddress& address,
                               const RemoteRules& rules) {
  Listener listener;
  listener.transport = Transport::remote;
  listener.encrypted = rules.encrypted;
  listener.knows_clients = rules.knows_clients;
  listener.name = (rules.encrypted ? "https://" : "http://") + to_string(address);
  if (address.is_loopback())
    listener.hosts = loopback_hosts(address, rules.encrypted ? ":443" : ":80");
  const std::string port = ":" + std::to_string(address.end.port);
  for (const std::string& host : rules.hosts) {
    listener.hosts.push_back(host);
    listener.hosts.push_back(host + port);
  }
  return add(std::move(socket), address.ipv6 ? AF_INET6 : AF_INET, std::move(listener));
}

std::string Server::add_unix(UniqueFd socket, const std::string& path) {
  Listener listener;
  listener.transport = Transport::unix_socket;
  listener.name = "unix:" + path;
  return add(std::move(socket), AF_UNIX, std::move(listener));
}

std::string Server::add(UniqueFd socket, int family, Listener listener) {
  std::string name = listener.name;
  auto entrance = std::make_unique<Entrance>(
      Entrance{Acceptor{context_}, std::make_shared<const Listener>(std::move(listener))});
  // Who connects inherits it.
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
  const int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  entrance->acceptor.assign({family, protocol}, socket.release());
  service_.counters.connections(entrance->listener->label(), 0);
  entrances_.push_back(std::move(entrance));
  return name;
}

// Asio keeps what it knows of a descriptor for ever, to use it again for another one. Made one by
// one, between what connections come and go with, each would hold a page of theirs; made here, all
// of them lie together. Once the start is over, which would feel it, and a few at a time.
Task<> Server::make_room() {
  constexpr std::chrono::seconds after_start{1};
  constexpr std::size_t at_a_time = 32;
  constexpr std::size_t enough = 16 * 1024;
  room_timer_.expires_after(after_start);
  const auto [error] = co_await room_timer_.async_wait(completion);
  const std::size_t most = std::min(service_.limits.connections, enough);
  std::vector<asio::posix::basic_stream_descriptor<Executor>> together;
  boost::system::error_code failure = error;
  const auto add_one = [this, &failure, &together] {
    UniqueFd copy{::fcntl(entrances_.front()->acceptor.native_handle(), F_DUPFD_CLOEXEC, 0)};
    together.emplace_back(context_).assign(copy.get(), failure);
    if (!failure) (void)copy.release();
  };
  while (!failure && !drained_ && together.size() < most) {
    for (std::size_t i = 0; i < at_a_time && !failure; ++i) add_one();
    co_await asio::post(completion);
  }
  while (!together.empty()) {
    const std::size_t left = together.size() - std::min(together.size(), at_a_time);
    together.erase(together.begin() + static_cast<std::ptrdiff_t>(left), together.end());
    co_await asio::post(completion);
  }
}

void Server::start() {
  for (const auto& entrance : entrances_)
    asio::co_spawn(context_, accept(*entrance), asio::detached);
  if (!entrances_.empty()) asio::co_spawn(context_, make_room(), asio::detached);
}

Task<> Server::accept(Entrance& entrance) {
  Timer pause{context_};
  bool failed = false;  // the last time
  while (entrance.acceptor.is_open()) {
    try {
      if (failed) {
        // Re-arming at once would burn a core, giving up would be deafness for ever.
        pause.expires_after(accept_backoff);
        co_await pause.async_wait(completion);
        failed = false;
      }
      auto [error, socket] = co_await entrance.acceptor.async_accept(completion);
      // Who has been accepted is served, also when the drain has begun meanwhile.
      if (!error && admit(entrance, std::move(socket))) continue;
      if (!entrance.acceptor.is_open()) co_return;
      failed = true;
      count_accept_error(*entrance.listener, error ? error : asio::error::no_memory);
      if (ran_out_of_descriptors(error)) answer_without_descriptors(entrance);
    } catch (const std::exception&) {
      if (!failed) count_accept_error(*entrance.listener, asio::error::no_memory);
      failed = true;
    }
  }
}

void Server::count_accept_error(const Listener& listener,
                                const boost::system::error_code& error) try {
  ++accept_errors_;
  const auto now = Connection::Clock::now();
  if (now < next_accept_error_) return;
  spdlog::warn("cannot accept on {}: {}; that makes {} connections of any listener so far",
               listener.name, error.message(), accept_errors_);
  next_accept_error_ = now + between_accept_errors;
} catch (const std::bad_alloc&) {
  // Said with the next one.
}

// False when there was no memory to serve it with.
bool Server::admit(Entrance& entrance, Socket socket) try {
  if (is_full(*entrance.listener)) {
    service_.counters.rejected("connections");
    turn_away(socket.native_handle(), *entrance.listener);
    return true;
  }
  Task<> served = serve(std::move(socket), entrance.listener);
  asio::co_spawn(context_, std::move(served), asio::detached);
  ++accepted_;
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

Task<> Server::serve(Socket socket, std::shared_ptr<const Listener> listener) {
  std::optional<Connection> connection;
  try {
    if (auto peer = identify(socket.native_handle(), *listener)) {  // else it is gone already
      Stream stream{std::move(socket), listener->encrypted ? tls_ : nullptr};
      connection.emplace(service_, std::move(stream), listener, std::move(peer));
      enter(*connection);
      co_await connection->serve();
    }
  } catch (const std::exception& failure) {
    // One client's connection ends with it, and nothing else does.
    spdlog::error("a connection failed: {}", failure.what());
  }
  if (connection) leave(*connection);
  --accepted_;
  end_when_drained();
}

void Server::enter(Connection& connection) {
  const Listener& listener = connection.listener();
  connections_.insert(&connection);
  most_connections_ = std::max(most_connections_, connections_.size());
  unix_connections_ += listener.transport == Transport::unix_socket;
  service_.counters.connections(listener.label(), 1);
  if (drained_) connection.drain();
}

void Server::leave(Connection& connection) {
  if (connections_.erase(&connection) == 0) return;  // for want of memory
  const Listener& listener = connection.listener();
  unix_connections_ -= listener.transport == Transport::unix_socket;
  service_.counters.connections(listener.label(), -1);
  // Of many, some memory can be given back.
  if (most_connections_ >= crowd) service_.look_by(Connection::Clock::now() + looked_ahead);
}

std::shared_ptr<const Peer> Server::identify(int socket, const Listener& listener) {
  auto peer = std::make_shared<Peer>();
  if (listener.transport == Transport::unix_socket) {
    peer->unix_owner = unix_peer(socket);
    return peer;
  }
  const auto connection = tcp_connection(socket);
  if (!connection) return nullptr;
  peer->connection = *connection;
  if (listener.transport == Transport::loopback)
    peer->tcp_owner = diagnosis_.find_peer(*connection);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return peer;
}

// TCP clients cannot crowd out the Unix socket: its share is kept free for it.
bool Server::is_full(const Listener& listener) const {
  const Limits& limits = service_.limits;
  if (connections_.size() >= limits.connections) return true;
  if (listener.transport == Transport::unix_socket) return false;
  return connections_.size() - unix_connections_ >= limits.connections - limits.unix_connections;
}

// No coroutine and no waiting: what arrived already is thrown away, so that the close is no reset.
void Server::turn_away(int socket, const Listener& listener) {
  // Before a handshake nothing can be said that a client would understand.
  if (!listener.encrypted)
    (void)!::send(socket, full_house.data(), full_house.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(socket, SHUT_WR);
  std::array<char, 4096> discarded;
  (void)!::recv(socket, discarded.data(), discarded.size(), MSG_DONTWAIT);
}

void Server::answer_without_descriptors(Entrance& entrance) {
  service_.counters.rejected("descriptors");
  spare_ = UniqueFd{};
  if (const UniqueFd socket{
          ::accept4(entrance.acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC)})
    turn_away(socket.get(), *entrance.listener);
  spare_ = open_spare();  // now that the socket has been closed again
}

// The allocator keeps what a crowd has used, for another one that may never come.
void Server::give_back_memory() {
  const bool has_left = most_connections_ >= crowd && connections_.size() <= most_connections_ / 8;
  if (has_left) most_connections_ = connections_.size();
  if (!has_left && service_.released < crowd) return;
  service_.released = 0;
  ::malloc_trim(0);
  if (has_left) give_back_program_pages();
}

// One timer for all connections, for the first deadline among them: idle ones wake nobody up.
void Server::sweep_for(Connection::Clock::time_point deadline) {
  service_.next_look = Connection::Clock::time_point::max();  // also when there is no memory for it
  if (deadline == Connection::Clock::time_point::max()) return;
  sweep_timer_.expires_at(deadline - looked_ahead / 2);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
  service_.next_look = deadline;
}

void Server::sweep() {
  const auto now = Connection::Clock::now() + looked_ahead;
  auto next = Connection::Clock::time_point::max();
  // expire() only cancels and closes: what that wakes up runs later.
  for (Connection* connection : connections_) next = std::min(next, connection->expire(now));
  give_back_memory();
  sweep_for(std::max(next, now));
}

void Server::drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  boost::system::error_code ignored;
  for (const auto& entrance : entrances_) entrance->acceptor.close(ignored);
  for (Connection* connection : connections_) connection->drain();
  drain_timer_.expires_after(service_.limits.drain_deadline);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    abort();
  });
  // Who has been accepted by now is in the queue before this.
  asio::post(context_, [this] { end_when_drained(); });
}

std::size_t Server::abort() {
  const std::size_t count = connections_.size();
  for (Connection* connection : connections_) connection->abort();
  finish_drain();
  return count;
}

void Server::end_when_drained() {
  if (drained_ && accepted_ == 0) finish_drain();
}

void Server::finish_drain() {
  sweep_timer_.cancel();
  drain_timer_.cancel();
  room_timer_.cancel();
  if (auto drained = std::exchange(drained_, {})) drained();
}

}  // namespace surveyd::http
