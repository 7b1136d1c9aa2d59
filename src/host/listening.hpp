#pragma once

#include <cstdint>
#include <string>

#include <surveyd/error.hpp>

#include "host/socket_owner.hpp"
#include "host/unique_fd.hpp"

namespace surveyd {

/// An IP address and a port.
struct TcpAddress {
  bool ipv6 = false;
  TcpEnd end;

  /// 127.0.0.0/8, mapped or not, or ::1.
  [[nodiscard]] bool is_loopback() const;
  /// An IPv4 address in the form of an IPv6 one. Sockets that are handed over may have one; as a
  /// setting it would come with another kind of socket than it says.
  [[nodiscard]] bool is_mapped() const;
};

/// "127.0.0.1:9847", "[::1]:9847". Names are not resolved.
[[nodiscard]] Result<TcpAddress> parse_tcp_address(const std::string& text);

/// The same again, as in a URL.
[[nodiscard]] std::string to_string(const TcpAddress& address);

/// A listening socket; IPv6 ones take IPv6 only. Errors of socket(2), bind(2), listen(2).
[[nodiscard]] Result<UniqueFd> listen_tcp(const TcpAddress& address);

/// A listening Unix socket, mode 0660, group `surveyd` where that exists. Makes the directory when
/// `make_directory`. A socket that a dead server left is replaced; a live one is EADDRINUSE.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& path, bool make_directory);

/// The address that a socket is bound to, with the port that the kernel chose for 0.
[[nodiscard]] Result<TcpAddress> bound_address(int socket);

/// The path that a Unix socket is bound to; an abstract one begins with '@'.
[[nodiscard]] Result<std::string> bound_path(int socket);

/// Both ends of a connected TCP socket.
[[nodiscard]] Result<TcpConnection> tcp_connection(int socket);

}  // namespace surveyd
