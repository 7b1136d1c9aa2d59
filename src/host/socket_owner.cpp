#include "host/socket_owner.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace surveyd {
namespace {

Error last_error(const char* op) {
  return os_error(errno, op);
}

inet_diag_sockid socket_id(const TcpConnection& connection) {
  inet_diag_sockid id{};
  id.idiag_sport = htons(connection.local.port);
  id.idiag_dport = htons(connection.remote.port);
  std::memcpy(id.idiag_src, connection.local.address.data(), sizeof id.idiag_src);
  std::memcpy(id.idiag_dst, connection.remote.address.data(), sizeof id.idiag_dst);
  id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return id;
}

bool is_v4_mapped(const TcpEnd& end) {
  static constexpr std::array<std::uint8_t, 12> prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(prefix.begin(), prefix.end(), end.address.begin());
}

TcpConnection connection_of(const inet_diag_msg& message) {
  TcpConnection connection;
  connection.ipv6 = message.idiag_family == AF_INET6;
  connection.local.port = ntohs(message.id.idiag_sport);
  connection.remote.port = ntohs(message.id.idiag_dport);
  const std::size_t size = connection.ipv6 ? 16 : 4;
  std::memcpy(connection.local.address.data(), message.id.idiag_src, size);
  std::memcpy(connection.remote.address.data(), message.id.idiag_dst, size);
  // A dual-stack socket speaks IPv4 under IPv6 addresses.
  if (connection.ipv6 && is_v4_mapped(connection.local) && is_v4_mapped(connection.remote)) {
    connection.ipv6 = false;
    for (TcpEnd* end : {&connection.local, &connection.remote}) {
      std::copy_n(end->address.begin() + 12, 4, end->address.begin());
      std::fill(end->address.begin() + 4, end->address.end(), std::uint8_t{0});
    }
  }
  return connection;
}

SocketOwner owner_of(const nlmsghdr* header) {
  const auto* message = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
  SocketOwner owner;
  owner.connection = connection_of(*message);
  owner.established = message->idiag_state == TCP_ESTABLISHED;
  owner.uid = message->idiag_uid;
  owner.inode = message->idiag_inode;
  owner.cookie = std::uint64_t{message->id.idiag_cookie[1]} << 32 | message->id.idiag_cookie[0];

  const auto* bytes = reinterpret_cast<const char*>(header);
  std::size_t at = NLMSG_LENGTH(sizeof *message);
  while (at + sizeof(rtattr) <= header->nlmsg_len) {
    rtattr attribute;
    std::memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > header->nlmsg_len) break;
    std::uint64_t id = 0;
    if (attribute.rta_type == INET_DIAG_CGROUP_ID &&
        attribute.rta_len >= sizeof attribute + sizeof id) {
      std::memcpy(&id, bytes + at + sizeof attribute, sizeof id);
      owner.cgroup_id = id;
    }
    at += (attribute.rta_len + std::size_t{3}) & ~std::size_t{3};  // RTA_ALIGN
  }
  return owner;
}

}  // namespace

Result<SocketOwner> SocketDiagnosis::find_peer(const TcpConnection& ours) {
  if (!netlink_) {
    netlink_ = UniqueFd{::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    if (!netlink_) return last_error("socket(NETLINK_SOCK_DIAG)");
    // The kernel answers at once; this only bounds what must not happen.
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(netlink_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  struct {
    nlmsghdr header;
    inet_diag_req_v2 query;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = ++sequence_;
  request.query.sdiag_family = ours.ipv6 ? AF_INET6 : AF_INET;
  request.query.sdiag_protocol = IPPROTO_TCP;
  request.query.idiag_states = ~0U;
  const TcpConnection theirs{ours.ipv6, ours.remote, ours.local};
  request.query.id = socket_id(theirs);
  if (::send(netlink_.get(), &request, sizeof request, 0) < 0) return last_error("send(sock_diag)");

  alignas(nlmsghdr) std::array<char, 4096> reply;
  while (true) {
    const ssize_t size = ::recv(netlink_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return last_error("recv(sock_diag)");
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (!NLMSG_OK(header, static_cast<std::uint32_t>(size)))
      return os_error(EBADMSG, "recv(sock_diag)");
    if (header->nlmsg_seq != sequence_) continue;  // the late answer to an earlier question
    if (header->nlmsg_type == NLMSG_ERROR) {
      const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
      return os_error(error->error != 0 ? -error->error : EBADMSG, "sock_diag");
    }
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
      return os_error(EBADMSG, "recv(sock_diag)");
    return owner_of(header);
  }
}

namespace {

std::vector<unsigned> peer_groups(int socket) {
  // Of most users this is all, and then it is one call.
  std::vector<gid_t> groups(16);
  auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int done = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (done != 0 && errno == ERANGE) {  // then it says how many there are
    groups.resize(size / sizeof(gid_t));
    done = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  groups.resize(done == 0 ? size / sizeof(gid_t) : 0);
  return {groups.begin(), groups.end()};
}

unsigned overflow_id(const char* path) {
  unsigned id = 65534;  // the kernel's default, and what a masked /proc leaves us with
  std::ifstream{path} >> id;
  return id;
}

}  // namespace

Result<UnixPeer> unix_peer(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return last_error("getsockopt(SO_PEERCRED)");
  return UnixPeer{credentials.pid, credentials.uid, credentials.gid, peer_groups(socket)};
}

unsigned overflow_uid() {
  return overflow_id("/proc/sys/kernel/overflowuid");
}

unsigned overflow_gid() {
  return overflow_id("/proc/sys/kernel/overflowgid");
}

}  // namespace surveyd
