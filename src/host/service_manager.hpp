#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <surveyd/error.hpp>

#include "host/listening.hpp"
#include "host/unique_fd.hpp"

namespace surveyd {

/// A listening stream socket that whoever started this process has opened for it.
struct HandedSocket {
  UniqueFd socket;
  std::optional<TcpAddress> address;  ///< none: a Unix socket
  std::string path;                   ///< of a Unix socket; an abstract one begins with '@'
};

/// The sockets of sd_listen_fds(3), close-on-exec. Takes the variables out of the environment: call
/// it once, and before anybody else looks at that. EINVAL when one of them is no listening stream
/// socket of TCP or Unix, or when the variables are no numbers.
[[nodiscard]] Result<std::vector<HandedSocket>> take_handed_sockets();

/// WATCHDOG_USEC, when it is for this process (WATCHDOG_PID); takes both out of the environment.
/// EINVAL when they are no numbers.
[[nodiscard]] Result<std::optional<std::chrono::microseconds>> take_watchdog();

/// One message to NOTIFY_SOCKET, as lines of sd_notify(3); without that variable nothing is sent.
/// Never waits. False when it is to be sent again, as there is no room for it now: whoever cannot
/// be reached at all is not told.
[[nodiscard]] bool notify_service_manager(const std::string& lines);

/// RELOADING=1 with the time that belongs to it.
[[nodiscard]] std::string reloading_message();

/// For a process that is not the service: what it starts is not to speak in the service's name.
void forget_service_manager();

}  // namespace surveyd
