#include "host/listening.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace surveyd {
namespace {

Error last_error(const char* op, std::string path = {}) {
  return os_error(errno, op, std::move(path));
}

union AnyAddress {
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
};

socklen_t fill(AnyAddress& any, const TcpAddress& address) {
  std::memset(&any, 0, sizeof any);
  if (address.ipv6) {
    any.v6.sin6_family = AF_INET6;
    any.v6.sin6_port = htons(address.end.port);
    std::memcpy(&any.v6.sin6_addr, address.end.address.data(), 16);
    return sizeof any.v6;
  }
  any.v4.sin_family = AF_INET;
  any.v4.sin_port = htons(address.end.port);
  std::memcpy(&any.v4.sin_addr, address.end.address.data(), 4);
  return sizeof any.v4;
}

TcpAddress read(const AnyAddress& any) {
  TcpAddress address;
  address.ipv6 = any.generic.sa_family == AF_INET6;
  if (address.ipv6) {
    address.end.port = ntohs(any.v6.sin6_port);
    std::memcpy(address.end.address.data(), &any.v6.sin6_addr, 16);
  } else {
    address.end.port = ntohs(any.v4.sin_port);
    std::memcpy(address.end.address.data(), &any.v4.sin_addr, 4);
  }
  return address;
}

Result<TcpAddress> end_of(int socket, int (*ask)(int, sockaddr*, socklen_t*), const char* op) {
  AnyAddress any;
  socklen_t size = sizeof any;
  if (ask(socket, &any.generic, &size) != 0) return last_error(op);
  if (any.generic.sa_family != AF_INET && any.generic.sa_family != AF_INET6)
    return os_error(EAFNOSUPPORT, op);
  return read(any);
}

Result<void> make_parents(const std::string& path) {
  for (auto slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
      return last_error("mkdir", directory);
  }
  return {};
}

// A socket file without a server behind it refuses connections. One that hangs, with a full queue,
// would hold a connect that waits for ever.
bool is_left_over(const AnyAddress& any, socklen_t size) {
  struct stat status {};
  if (::lstat(any.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const UniqueFd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return probe && ::connect(probe.get(), &any.generic, size) != 0 && errno == ECONNREFUSED;
}

// Local users of the group may connect; who of them may change anything is asked of the kernel.
void share_with_group(const std::string& path) {
  if (const group* surveyd = ::getgrnam("surveyd")) {
    // Only root can; anybody else keeps the group that the directory gave.
    (void)!::chown(path.c_str(), static_cast<uid_t>(-1), surveyd->gr_gid);
  }
}

}  // namespace

bool TcpAddress::is_mapped() const {
  static constexpr std::array<std::uint8_t, 12> prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return ipv6 && std::equal(prefix.begin(), prefix.end(), end.address.begin());
}

bool TcpAddress::is_loopback() const {
  if (!ipv6) return end.address[0] == 127;
  static constexpr std::array<std::uint8_t, 16> one = {0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 0, 0, 0, 0, 0, 1};
  return is_mapped() ? end.address[12] == 127 : end.address == one;
}

Result<TcpAddress> parse_tcp_address(const std::string& text) {
  Error error{.code = std::make_error_code(std::errc::invalid_argument), .op = "parse"};
  error.path = text;
  error.detail = "an address has the form 127.0.0.1:9847 or [::1]:9847";
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return error;

  TcpAddress address;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data() + colon + 1, end, address.end.port);
  if (failure != std::errc{} || stop != end || text[colon + 1] == '+') return error;
  std::string host = text.substr(0, colon);
  address.ipv6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (address.ipv6) host = host.substr(1, host.size() - 2);
  const int family = address.ipv6 ? AF_INET6 : AF_INET;
  if (::inet_pton(family, host.c_str(), address.end.address.data()) != 1) return error;
  if (address.is_mapped()) return error;  // it has a shorter name, and would be bound to IPv6 alone
  return address;
}

std::string to_string(const TcpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.ipv6 ? AF_INET6 : AF_INET, address.end.address.data(), text.data(),
              static_cast<socklen_t>(text.size()));
  const std::string host{text.data()};
  return (address.ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(address.end.port);
}

Result<UniqueFd> listen_tcp(const TcpAddress& address) {
  const std::string name = to_string(address);
  UniqueFd socket{
      ::socket(address.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return last_error("socket", name);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ipv6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  AnyAddress any;
  const socklen_t size = fill(any, address);
  if (::bind(socket.get(), &any.generic, size) != 0) return last_error("bind", name);
  if (::listen(socket.get(), SOMAXCONN) != 0) return last_error("listen", name);
  return socket;
}

Result<UniqueFd> listen_unix(const std::string& path, bool make_directory) {
  AnyAddress any;
  std::memset(&any, 0, sizeof any);
  any.local.sun_family = AF_UNIX;
  if (path.size() >= sizeof any.local.sun_path) return os_error(ENAMETOOLONG, "bind", path);
  std::memcpy(any.local.sun_path, path.c_str(), path.size());
  constexpr socklen_t size = sizeof any.local;

  if (make_directory)
    if (auto made = make_parents(path); !made) return made.error();
  UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return last_error("socket", path);
  if (is_left_over(any, size)) ::unlink(path.c_str());
  // Born with the rights that it keeps: between bind and a chmod anybody could connect. No other
  // thread makes files while the listeners are opened.
  const mode_t before = ::umask(0117);
  const int bound = ::bind(socket.get(), &any.generic, size);
  const int why = errno;
  ::umask(before);
  if (bound != 0) return os_error(why, "bind", path);
  share_with_group(path);
  if (::listen(socket.get(), SOMAXCONN) != 0) return last_error("listen", path);
  return socket;
}

Result<TcpAddress> bound_address(int socket) {
  return end_of(socket, ::getsockname, "getsockname");
}

Result<std::string> bound_path(int socket) {
  AnyAddress any;
  std::memset(&any, 0, sizeof any);
  socklen_t size = sizeof any;
  if (::getsockname(socket, &any.generic, &size) != 0) return last_error("getsockname");
  constexpr socklen_t before = offsetof(sockaddr_un, sun_path);
  std::string path{any.local.sun_path, size > before ? size - before : 0};
  if (path.empty() || path.front() != '\0') return std::string{path.c_str()};
  path.front() = '@';  // abstract: any byte may follow, and the size ends it
  return path;
}

Result<TcpConnection> tcp_connection(int socket) {
  const auto local = end_of(socket, ::getsockname, "getsockname");
  if (!local) return local.error();
  const auto remote = end_of(socket, ::getpeername, "getpeername");
  if (!remote) return remote.error();
  return TcpConnection{local->ipv6, local->end, remote->end};
}

}  // namespace surveyd
