#include "host/service_manager.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
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

// sd_notify(3) waits while the queue of the receiver is full (net.unix.max_dgram_qlen).
bool notify_service_manager(const std::string& lines) {
  const char* variable = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = variable == nullptr ? "" : variable;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (name.empty() || name.size() > sizeof address.sun_path) return true;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // abstract
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) return false;
  if (::sendto(socket.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) >= 0)
    return true;
  return errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM;
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
