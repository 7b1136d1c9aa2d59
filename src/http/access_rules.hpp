#pragma once

#include <vector>

namespace surveyd::http {

/// What makes a caller over loopback TCP one who may change something.
enum class TcpMutations {
  owner,  ///< the kernel says that the other end of the connection is root's or the daemon's user's
  token,  ///< the request carries the token
  off,    ///< nothing does
};

struct AccessRules {
  TcpMutations tcp_mutations = TcpMutations::owner;
  bool owner_reads = false;    ///< whoever may not change anything may not read either
  std::vector<unsigned> uids;  ///< over the Unix socket: may change as well as root
  std::vector<unsigned> gids;  ///< the same, by primary or supplementary group
};

}  // namespace surveyd::http
