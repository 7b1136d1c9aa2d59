#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <surveyd/error.hpp>

#include "host/socket_owner.hpp"

namespace surveyd::http {

enum class Transport {
  loopback,     ///< TCP on 127.0.0.0/8 or ::1
  remote,       ///< TCP of --listen-remote, mostly on another address: reads only
  unix_socket,  ///< the documented way for controllers
};

/// What one listening socket means for the requests that come through it.
struct Listener {
  Transport transport = Transport::loopback;
  std::string name;                ///< for people: "http://127.0.0.1:9847", "unix:/run/…"
  std::vector<std::string> hosts;  ///< lower case; what `Host` may be, any when empty
  bool encrypted = false;          ///< speaks TLS
  bool knows_clients = false;      ///< with a certificate of a trusted authority only

  /// The label of surveyd_http_connections.
  [[nodiscard]] const char* label() const {
    switch (transport) {
      case Transport::loopback:
        return "tcp";
      case Transport::remote:
        return "remote";
      case Transport::unix_socket:
        break;
    }
    return "unix";
  }
};

/// Who is at the other end, as the kernel said when the connection was accepted.
struct Peer {
  TcpConnection connection;                      ///< TCP: our end and theirs
  std::optional<Result<SocketOwner>> tcp_owner;  ///< loopback only
  std::optional<Result<UnixPeer>> unix_owner;
};

/// Who asks, for one request.
struct Caller {
  std::shared_ptr<const Listener> listener;
  std::shared_ptr<const Peer> peer;
  bool has_token = false;  ///< the request carries the token of --token-file
};

}  // namespace surveyd::http
