#include "host/service_manager.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

namespace surveyd {
namespace {

Error bad_socket(int descriptor, std::string detail) {
  Error error = os_error(EINVAL, "LISTEN_FDS", "descriptor " + std::to_string(descriptor));
  error.detail = std::move(detail);
  return error;
}

Result<HandedSocket> examine(UniqueFd descriptor) {
  const int number = descriptor.get();
  constexpr int listens = 1;
  if (sd_is_socket(number, AF_UNSPEC, SOCK_STREAM, listens) <= 0)
    return bad_socket(number, "is no listening stream socket");
  HandedSocket handed{.socket = std::move(descriptor), .address = {}, .path = {}};
  if (sd_is_socket(number, AF_UNIX, SOCK_STREAM, listens) > 0) {
    auto path = bound_path(number);
    if (!path) return path.error();
    handed.path = std::move(*path);
    return handed;
  }
  const auto address = bound_address(number);
  if (!address) return bad_socket(number, "is neither TCP nor Unix");
  handed.address = *address;
  return handed;
}

}  // namespace

Result<std::vector<HandedSocket>> take_handed_sockets() {
  const int count = sd_listen_fds(1);
  if (count < 0) return os_error(-count, "sd_listen_fds", "LISTEN_FDS");
  std::vector<HandedSocket> sockets;
  for (int number = 0; number < count; ++number) {
    auto handed = examine(UniqueFd{SD_LISTEN_FDS_START + number});
    if (!handed) return handed.error();
    sockets.push_back(std::move(*handed));
  }
  return sockets;
}

Result<std::optional<std::chrono::microseconds>> take_watchdog() {
  std::uint64_t interval = 0;
  const int enabled = sd_watchdog_enabled(1, &interval);
  if (enabled < 0) return os_error(-enabled, "sd_watchdog_enabled", "WATCHDOG_USEC");
  if (enabled == 0) return std::optional<std::chrono::microseconds>{};
  return std::optional{std::chrono::microseconds{interval}};
}

// Whether it arrives is the service manager's matter: it ends a service that it does not hear of.
void notify_service_manager(const std::string& lines) {
  (void)sd_notify(0, lines.c_str());
}

std::string reloading_message() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t microseconds = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds);
}

void forget_service_manager() {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID",
                           "LISTEN_FDS", "LISTEN_FDNAMES"})
    ::unsetenv(name);
}

}  // namespace surveyd
