#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// One end of a TCP connection: an address in network order (IPv4 uses the first 4 bytes).
struct TcpEnd {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  bool operator==(const TcpEnd&) const = default;
};

/// A TCP connection as one of its two ends sees it.
struct TcpConnection {
  bool ipv6 = false;
  TcpEnd local;
  TcpEnd remote;

  bool operator==(const TcpConnection&) const = default;
};

/// What the kernel says about a socket (linux/inet_diag.h).
struct SocketOwner {
  TcpConnection connection;
  bool established = false;
  std::uint32_t uid = 0;
  std::uint32_t inode = 0;  ///< 0 once the process has closed it
  std::uint64_t cookie = 0;
  std::optional<std::uint64_t> cgroup_id;  ///< inode of the cgroup that the socket was made in
};

/// Asks the kernel who owns the other end of a loopback connection (NETLINK_SOCK_DIAG). For one
/// thread. A lookup costs 10 to 24 microseconds.
class SocketDiagnosis {
 public:
  /// The socket at the other end of `ours`: an exact lookup of the reversed pair of ends.
  [[nodiscard]] Result<SocketOwner> find_peer(const TcpConnection& ours);

 private:
  UniqueFd netlink_;
  std::uint32_t sequence_ = 0;
};

/// Who is at the other end of a Unix socket (SO_PEERCRED, SO_PEERGROUPS), at the time it connected.
struct UnixPeer {
  int pid = 0;
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<unsigned> groups;  ///< supplementary ones; empty before Linux 4.13
};

[[nodiscard]] Result<UnixPeer> unix_peer(int socket);

/// `/proc/sys/kernel/overflowuid`: what a uid without a mapping here looks like.
[[nodiscard]] unsigned overflow_uid();

/// The same of groups.
[[nodiscard]] unsigned overflow_gid();

}  // namespace surveyd
