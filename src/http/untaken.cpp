#include "http/untaken.hpp"

#include <optional>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace surveyd::http {
namespace {

std::optional<std::uint64_t> untaken_bytes(int socket) {
  int count = 0;
  if (::ioctl(socket, SIOCOUTQ, &count) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(count);
}

std::optional<int> option(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket, SOL_SOCKET, name, &value, &size) != 0) return std::nullopt;
  return value;
}

}  // namespace

bool Untaken::takes_too_long(int socket, Clock::time_point now, Clock::duration patience) {
  if (is_settled()) return false;
  const auto untaken = untaken_bytes(socket);
  const auto domain = option(socket, SO_DOMAIN);
  if (!untaken || !domain) return false;
  if (*untaken == 0) {
    taken_ = written_;
    deadline_ = Clock::time_point::max();
    return false;
  }
  // Taken it is when all that is left has been written since. A Unix socket counts what its buffers
  // cost, which is more than is in them, up to eight times with the shortest answers: there, some
  // of it has to be gone as well.
  const std::uint64_t since = written_ - due_;
  const bool has_taken = *domain == AF_UNIX
                             ? *untaken < due_untaken_ + since && *untaken <= 8 * since
                             : *untaken <= since;
  if (deadline_ != Clock::time_point::max() && !has_taken) return now >= deadline_;
  due_ = written_;
  due_untaken_ = *untaken;
  deadline_ = now + patience;
  return false;
}

bool waits_for_peer(int socket) {
  return untaken_bytes(socket).value_or(0) > 0 && option(socket, SO_ERROR) == 0;
}

}  // namespace surveyd::http
