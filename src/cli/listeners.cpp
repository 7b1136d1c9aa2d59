#include "cli/listeners.hpp"

#include <string_view>

#include <spdlog/spdlog.h>

#include "cli/handed_over.hpp"
#include "cli/start_failure.hpp"
#include "host/listening.hpp"

namespace surveyd::cli {
namespace {

[[noreturn]] void fail(const std::string& where, const Error& error) {
  throw StartFailure("cannot listen on " + where + ": " + error.code.message() + " (" + error.op +
                     " " + error.path + ")");
}

http::RemoteRules remote_rules(const Settings& settings) {
  return {.hosts = settings.allow_host,
          .encrypted = !settings.tls.certificate.empty(),
          .knows_clients = !settings.tls.client_authorities.empty()};
}

// Whoever gives them believes that somebody is served by them.
void refuse_rules_without_remote(const Settings& settings) {
  const char* option = !settings.tls.certificate.empty() ? "--tls-cert"
                       : !settings.allow_host.empty()    ? "--allow-host"
                                                         : nullptr;
  if (option != nullptr)
    throw StartFailure(std::string{option} +
                       " is for remote listeners, and there is none: --listen-remote makes one");
}

void open_remote(http::Server& server, const std::string& text, const http::RemoteRules& rules) {
  auto socket = listen_tcp(*parse_tcp_address(text));
  if (!socket) fail(text, socket.error());
  const auto bound = bound_address(socket->get());
  if (!bound) fail(text, bound.error());
  spdlog::info("listening on {}, reads only", server.add_remote(std::move(*socket), *bound, rules));
  if (!rules.encrypted)
    spdlog::warn("{} is not encrypted and answers to everybody who can reach it", text);
}

void open_loopback(http::Server& server, const std::string& text, bool optional) {
  const auto wanted = parse_tcp_address(text);
  auto socket = listen_tcp(*wanted);
  if (!socket) {
    // A machine without IPv6 has no ::1, and nobody asked for it by name.
    const bool no_ipv6 = socket.error().code == std::errc::address_not_available ||
                         socket.error().code == std::errc::address_family_not_supported;
    if (!optional || !no_ipv6) fail(text, socket.error());
    spdlog::info("not listening on {}: {}", text, socket.error().code.message());
    return;
  }
  const auto bound = bound_address(socket->get());
  if (!bound) fail(text, bound.error());
  spdlog::info("listening on {}", server.add_loopback(std::move(*socket), *bound));
}

/// The path of the Unix socket that was made, empty when there is none.
std::string open_unix(http::Server& server, const Settings& settings) {
  const bool asked = settings.unix_socket.has_value();
  std::string path = settings.unix_socket.value_or(default_unix_socket);
  if (path.empty()) return path;
  auto socket = listen_unix(path, !asked);
  if (!socket) {
    const Error& error = socket.error();
    const bool no_place = error.code == std::errc::permission_denied ||
                          error.code == std::errc::read_only_file_system;
    if (asked || !no_place) fail(path, error);
    spdlog::info("no Unix socket: {} cannot be made: {}", error.path, error.code.message());
    return {};
  }
  spdlog::info("listening on {}", server.add_unix(std::move(*socket), path));
  return path;
}

}  // namespace

std::string open_listeners(http::Server& server, http::Service& service, const Settings& settings) {
  const HandedOver handed = serve_handed_over(server, remote_rules(settings));
  if (settings.listen_remote.empty() && !handed.remote) refuse_rules_without_remote(settings);
  if (settings.listen.empty() && handed.sockets == 0)
    for (const char* address : default_listen)
      open_loopback(server, address, std::string_view{address}.starts_with('['));
  for (const std::string& address : settings.listen)
    if (address != no_listener) open_loopback(server, address, false);
  for (const std::string& address : settings.listen_remote)
    open_remote(server, address, remote_rules(settings));
  std::string made;
  if (settings.unix_socket || handed.sockets == 0) made = open_unix(server, settings);
  service.unix_socket = made.empty() ? handed.unix_socket : made;
  return made;
}

}  // namespace surveyd::cli
