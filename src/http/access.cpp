#include "http/access.hpp"

#include <algorithm>
#include <array>

#include <boost/beast/core/string.hpp>
#include <unistd.h>

#include "http/problem.hpp"

namespace surveyd::http {
namespace {

using boost::beast::iequals;

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         iequals({text.data(), prefix.size()}, {prefix.data(), prefix.size()});
}

bool same(std::string_view text, std::string_view name) {
  return iequals({text.data(), text.size()}, {name.data(), name.size()});
}

bool is_allowed_host(std::string_view host, const Listener& listener) {
  if (listener.hosts.empty()) return true;
  return std::any_of(listener.hosts.begin(), listener.hosts.end(),
                     [host](const std::string& allowed) { return same(host, allowed); });
}

bool is_browser_mark(std::string_view name) {
  return same(name, "Origin") || same(name, "Referer") || same(name, "Cookie") ||
         starts_with_ignoring_case(name, "Sec-Fetch-") ||
         starts_with_ignoring_case(name, "Access-Control-Request-");
}

bool is_proxy_mark(std::string_view name) {
  return same(name, "Forwarded") || same(name, "Via") || same(name, "X-Real-IP") ||
         starts_with_ignoring_case(name, "X-Forwarded-");
}

bool is_json(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return same(type.substr(0, type.find_last_not_of(" \t") + 1), "application/json");
}

Verdict refused(std::string why, std::optional<unsigned> uid = {}) {
  return {.allowed = false, .uid = uid, .why = std::move(why)};
}

}  // namespace

std::optional<Response> refuse_host(const Request& request, const Listener& listener,
                                    std::string_view authority_of_target) {
  // HTTP/1.1 without one, and two of them, never come this far.
  const HeaderField* host = request.find(field::host);
  const bool host_fits =
      host != nullptr ? is_allowed_host(host->value, listener) : listener.hosts.empty();
  const bool target_fits =
      authority_of_target.empty() || is_allowed_host(authority_of_target, listener);
  if (host_fits && target_fits) return std::nullopt;
  return problem(421, "wrong-host",
                 "this server answers to localhost, 127.0.0.1 and [::1] with its port only");
}

std::optional<Response> refuse_borrowed(const Request& request, const std::string& unix_socket) {
  const std::string instead =
      unix_socket.empty() ? "call surveyd directly"
                          : "call surveyd directly, at best through its socket " + unix_socket;
  for (const HeaderField& header : request) {
    if (is_browser_mark(header.name))
      return problem(403, "browser",
                     "requests with " + std::string{header.name} +
                         " come from a browser, and a page must not change this machine; " +
                         instead);
    if (is_proxy_mark(header.name))
      return problem(403, "proxy",
                     "requests with " + std::string{header.name} +
                         " come through a proxy, whose identity proves nothing; " + instead);
  }
  const bool foreign_type =
      std::any_of(request.begin(), request.end(), [](const HeaderField& header) {
        return header.known == field::content_type && !is_json(header.value);
      });
  if (foreign_type)
    return problem(415, "unsupported-media-type",
                   "the body has to be application/json: with curl use --json, as -d alone "
                   "sends a form");
  return std::nullopt;
}

Access::Access(CgroupTree& tree)
    : tree_(tree), own_uid_(::geteuid()), overflow_uid_(overflow_uid()) {}

Verdict Access::judge_uid(unsigned uid) const {
  // The overflow uid stands for everybody who has no name in our user namespace.
  if (uid == overflow_uid_)
    return refused("user id " + std::to_string(uid) +
                       " stands for every user without a mapping in this user namespace",
                   uid);
  if (uid == 0 || uid == own_uid_) return {.allowed = true, .uid = uid, .why = {}};
  return refused("user id " + std::to_string(uid) + " is neither root nor surveyd's own", uid);
}

Verdict Access::may_mutate(const Listener& listener, const Peer& peer) {
  return judge_peer(listener, peer, [this](unsigned uid) { return judge_uid(uid); });
}

Verdict Access::may_ask(const Listener& listener, const Peer& peer,
                        const std::function<bool(unsigned uid)>& owns) {
  return judge_peer(listener, peer, [this, &owns](unsigned uid) {
    Verdict verdict = judge_uid(uid);
    if (verdict.allowed || uid == overflow_uid_) return verdict;
    if (owns(uid)) return Verdict{.allowed = true, .uid = uid, .why = {}};
    verdict.why += ", nor the owner of the process";
    return verdict;
  });
}

Verdict Access::judge_peer(const Listener& listener, const Peer& peer, const Judge& judge) {
  switch (listener.transport) {
    case Transport::remote:
      return refused("a remote listener serves reads only");
    case Transport::loopback:
      return judge_tcp(peer, judge);
    case Transport::unix_socket:
      break;
  }
  const Result<UnixPeer>& owner = *peer.unix_owner;
  if (!owner) return refused("the caller cannot be identified: " + to_string(owner.error()));
  if (owner->pid == 0) return refused("the caller's process is not visible here", owner->uid);
  return judge(owner->uid);
}

// A client that writes and closes at once is reported as uid 0 with inode 0, and after a reset the
// lookup can hit a listener on the client's old port: hence every condition, twice.
Verdict Access::judge_tcp(const Peer& peer, const Judge& judge) {
  const Result<SocketOwner>& before = *peer.tcp_owner;
  const Result<SocketOwner> now = diagnosis_.find_peer(peer.connection);
  if (!before || !now)
    return refused("the caller's socket cannot be identified: " +
                   to_string((before ? now : before).error()));

  const TcpConnection theirs{peer.connection.ipv6, peer.connection.remote, peer.connection.local};
  for (const SocketOwner* owner : {&*before, &*now})
    if (owner->connection != theirs || !owner->established || owner->inode == 0)
      return refused("the caller's end of the connection is not open");
  if (before->cookie != now->cookie || before->uid != now->uid)
    return refused("the caller's socket was exchanged for another");
  Verdict verdict = judge(now->uid);
  if (!verdict.allowed) return verdict;

  if (!now->cgroup_id) {
    // Without CONFIG_SOCK_CGROUP_DATA nobody can say that it is not a container's.
    const auto parent = tree_.inspect_container_parent();
    if (parent && parent->exists)
      return refused("the kernel does not say which cgroup the caller's socket belongs to",
                     now->uid);
    return verdict;
  }
  const auto inside = tree_.is_below_container_parent(*now->cgroup_id);
  if (!inside)
    return refused("the caller's cgroup cannot be identified: " + to_string(inside.error()),
                   now->uid);
  if (*inside) return refused("the caller's socket belongs to a container", now->uid);
  return verdict;
}

}  // namespace surveyd::http
