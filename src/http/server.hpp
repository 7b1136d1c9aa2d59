#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>

#include "host/listening.hpp"
#include "host/unique_fd.hpp"
#include "http/connection.hpp"
#include "http/service.hpp"
#include "http/task.hpp"

namespace surveyd::http {

/// What holds for a listener that serves reads only.
struct RemoteRules {
  /// What `Host` may be, without a port or with; any when empty. On a loopback address these come
  /// besides what it may be there anyway.
  std::vector<std::string> hosts;
  bool encrypted = false;
  bool knows_clients = false;
};

/// The listening sockets and their connections, on one io_context.
class Server {
 public:
  Server(boost::asio::io_context& context, Service& service);

  /// Takes over a listening TCP socket; says what it is called.
  std::string add_loopback(UniqueFd socket, const TcpAddress& address);
  std::string add_remote(UniqueFd socket, const TcpAddress& address, const RemoteRules& rules);
  std::string add_unix(UniqueFd socket, const std::string& path);

  /// New connections of encrypted listeners use this one.
  void use_tls(std::shared_ptr<TlsContext> tls) { tls_ = std::move(tls); }

  /// Accepts from now on.
  void start();

  /// Accepts no more, lets requests that have begun end, closes what is left after the drain
  /// deadline, and calls `drained`. Who waits in the queue of a socket that another process holds
  /// as well stays there.
  void drain(std::function<void()> drained);

  /// Ends a drain at once; how many connections that closed.
  std::size_t abort();

 private:
  using Acceptor =
      boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol, Executor>;
  struct Entrance {
    Acceptor acceptor;
    std::shared_ptr<const Listener> listener;
  };

  Task<> make_room();
  std::string add(UniqueFd socket, int family, Listener listener);
  Task<> accept(Entrance& entrance);
  void count_accept_error(const Listener& listener, const boost::system::error_code& error);
  bool admit(Entrance& entrance, Socket socket);
  Task<> serve(Socket socket, std::shared_ptr<const Listener> listener);
  void enter(Connection& connection);
  void leave(Connection& connection);
  [[nodiscard]] bool is_full(const Listener& listener) const;
  static void turn_away(int socket, const Listener& listener);
  void answer_without_descriptors(Entrance& entrance);
  std::shared_ptr<const Peer> identify(int socket, const Listener& listener);
  void sweep();
  void sweep_for(Connection::Clock::time_point deadline);
  void end_when_drained();
  void give_back_memory();
  void finish_drain();

  boost::asio::io_context& context_;
  Service& service_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  std::unordered_set<Connection*> connections_;
  std::size_t accepted_ = 0;  ///< and not ended: those of `connections_`, and who is about to be
  std::size_t unix_connections_ = 0;
  std::size_t most_connections_ = 0;  ///< at a time, since memory was given back
  std::size_t accept_errors_ = 0;
  Connection::Clock::time_point next_accept_error_;  ///< for the log
  SocketDiagnosis diagnosis_;
  std::shared_ptr<TlsContext> tls_;  ///< null: no listener is encrypted
  UniqueFd spare_;                   ///< given up for a moment when descriptors run out
  Timer sweep_timer_;
  Timer room_timer_;
  Timer drain_timer_;
  std::function<void()> drained_;
};

}  // namespace surveyd::http
