#include "cli/handed_over.hpp"

#include <utility>

#include <spdlog/spdlog.h>

#include "cli/start_failure.hpp"
#include "host/service_manager.hpp"

namespace surveyd::cli {

HandedOver serve_handed_over(http::Server& server, const http::RemoteRules& rules) {
  auto sockets = take_handed_sockets();
  if (!sockets)
    throw StartFailure("cannot use the sockets that were handed over: " +
                       to_string(sockets.error()));
  HandedOver result{.sockets = sockets->size(), .remote = false, .unix_socket = {}};
  for (HandedSocket& handed : *sockets) {
    const bool remote = handed.address && !handed.address->is_loopback();
    const std::string name =
        !handed.address ? server.add_unix(std::move(handed.socket), handed.path)
        : remote        ? server.add_remote(std::move(handed.socket), *handed.address, rules)
                        : server.add_loopback(std::move(handed.socket), *handed.address);
    result.remote |= remote;
    if (result.unix_socket.empty()) result.unix_socket = handed.path;
    spdlog::info("handed over: listening on {}{}", name, remote ? ", reads only" : "");
    if (remote && !rules.encrypted)
      spdlog::warn("{} is not encrypted and answers to everybody who can reach it", name);
  }
  return result;
}

}  // namespace surveyd::cli
