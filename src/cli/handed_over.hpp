#pragma once

#include <cstddef>
#include <string>

#include "http/server.hpp"

namespace surveyd::cli {

struct HandedOver {
  std::size_t sockets = 0;
  bool remote = false;      ///< one of them is no loopback address
  std::string unix_socket;  ///< the first of them; empty without one
};

/// Serves on the sockets that systemd has opened (LISTEN_FDS): a TCP address other than loopback
/// for reads only, by `rules`. Throws StartFailure when one of them cannot be listened on.
HandedOver serve_handed_over(http::Server& server, const http::RemoteRules& rules);

}  // namespace surveyd::cli
