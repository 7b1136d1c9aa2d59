#include "host/network_objects.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "host/unique_fd.hpp"

namespace surveyd {
namespace {

constexpr std::string_view name = "surveyd0";
constexpr std::uint32_t virtual_network = 1;

/// Netlink messages, one after another, as they go over the socket (linux/netlink.h).
class Messages {
 public:
  void begin(std::uint16_t type, std::uint16_t flags) {
    begin_ = bytes_.size();
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = ++sequence_;
    put(header);
  }
  void end() {
    const auto length = static_cast<std::uint32_t>(bytes_.size() - begin_);
    std::memcpy(bytes_.data() + begin_ + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  }

  template <class Value>
  void put(const Value& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    pad();
  }

  void attribute(std::uint16_t type, std::string_view payload) {
    const std::size_t at = begin_attribute(type);
    bytes_ += payload;
    end_attribute(at);
  }
  /// With the NUL that the kernel's NLA_NUL_STRING asks for.
  void text(std::uint16_t type, std::string_view text) {
    attribute(type, std::string{text} + '\0');
  }
  /// What is put until `end_attribute` of the value returned is nested in it.
  std::size_t begin_attribute(std::uint16_t type) {
    const std::size_t at = bytes_.size();
    put(nlattr{0, type});
    return at;
  }
  void end_attribute(std::size_t at) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at + offsetof(nlattr, nla_len), &length, sizeof length);
    pad();
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void pad() { bytes_.resize((bytes_.size() + NLMSG_ALIGNTO - 1) & ~(NLMSG_ALIGNTO - 1U)); }

  std::string bytes_;
  std::size_t begin_ = 0;
  std::uint32_t sequence_ = 0;
};

// Of all the messages one asks for an acknowledgement; a refusal of any comes as well.
Result<void> request(int protocol, const Messages& messages, const std::string& what) {
  const UniqueFd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
  if (!socket) return os_error(errno, "socket(AF_NETLINK) for " + what);
  // The kernel answers at once; this only bounds what must not happen.
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string& bytes = messages.bytes();
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0)
    return os_error(errno, "send(" + what + ")");

  alignas(nlmsghdr) std::array<char, 8192> reply;
  while (true) {
    const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return os_error(errno, "recv(" + what + ")");
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (!NLMSG_OK(header, static_cast<std::uint32_t>(size)))
      return os_error(EBADMSG, "recv(" + what + ")");
    if (header->nlmsg_type != NLMSG_ERROR) continue;
    const auto* answer = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
    if (answer->error == 0) return {};
    return os_error(-answer->error, what);
  }
}

nfgenmsg netfilter_header(std::uint8_t family, std::uint16_t resource) {
  return {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
}

}  // namespace

Result<void> make_link(const char* kind) {
  Messages messages;
  messages.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
  messages.put(ifinfomsg{});
  messages.text(IFLA_IFNAME, name);
  const std::size_t info = messages.begin_attribute(IFLA_LINKINFO);
  messages.text(IFLA_INFO_KIND, kind);
  if (std::string_view{kind} == "vxlan") {
    const std::size_t data = messages.begin_attribute(IFLA_INFO_DATA);
    messages.attribute(IFLA_VXLAN_ID,
                       {reinterpret_cast<const char*>(&virtual_network), sizeof virtual_network});
    messages.end_attribute(data);
  }
  messages.end_attribute(info);
  messages.end();
  return request(NETLINK_ROUTE, messages, std::string{"RTM_NEWLINK "} + kind);
}

// nf_tables takes changes in batches only, each a transaction.
Result<void> make_nftables_table() {
  constexpr std::uint16_t subsystem = NFNL_SUBSYS_NFTABLES << 8;
  Messages messages;
  messages.begin(NFNL_MSG_BATCH_BEGIN, 0);
  messages.put(netfilter_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  messages.end();
  messages.begin(subsystem | NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
  messages.put(netfilter_header(NFPROTO_IPV4, 0));
  messages.text(NFTA_TABLE_NAME, name);
  messages.end();
  messages.begin(NFNL_MSG_BATCH_END, 0);
  messages.put(netfilter_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  messages.end();
  return request(NETLINK_NETFILTER, messages, "NFT_MSG_NEWTABLE");
}

}  // namespace surveyd
