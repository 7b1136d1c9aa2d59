#include "http/access.hpp"

#include <algorithm>
#include <array>

#include <boost/beast/core/string.hpp>
#include <openssl/crypto.h>
#include <unistd.h>

#include "http/problem.hpp"
#include "http/rejection.hpp"

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
  return rejected("wrong_host", problem(421, "wrong-host",
                                        listener.transport == Transport::remote
                                            ? "this listener answers to the hosts of --allow-host "
                                              "only, and on loopback to its own names"
                                            : "this server answers to localhost, 127.0.0.1 and "
                                              "[::1] with its port only"));
}

std::optional<Response> refuse_borrowed(const Request& request, const std::string& unix_socket) {
  const std::string instead =
      unix_socket.empty() ? "call surveyd directly"
                          : "call surveyd directly, at best through its socket " + unix_socket;
  for (const HeaderField& header : request) {
    if (is_browser_mark(header.name))
      return rejected(
          "browser",
          problem(403, "browser",
                  "requests with " + std::string{header.name} +
                      " come from a browser, and a page must not change this machine; " + instead));
    if (is_proxy_mark(header.name))
      return rejected(
          "proxy", problem(403, "proxy",
                           "requests with " + std::string{header.name} +
                               " come through a proxy, whose identity proves nothing; " + instead));
  }
  const bool foreign_type =
      std::any_of(request.begin(), request.end(), [](const HeaderField& header) {
        return header.known == field::content_type && !is_json(header.value);
      });
  if (foreign_type)
    return rejected("media_type",
                    problem(415, "unsupported-media-type",
                            "the body has to be application/json: with curl use --json, as -d "
                            "alone sends a form"));
  return std::nullopt;
}

bool carries_token(const Request& request, std::string_view token) {
  if (token.empty()) return false;  // what most daemons are asked with every request
  const HeaderField* authorization = request.find(field::authorization);
  if (authorization == nullptr) return false;
  constexpr std::string_view scheme = "Bearer ";
  std::string_view given = authorization->value;
  if (!starts_with_ignoring_case(given, scheme)) return false;
  given.remove_prefix(scheme.size());
  return given.size() == token.size() &&
         ::CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

std::optional<unsigned> uid_at_accept(const Peer& peer) {
  if (peer.unix_owner && *peer.unix_owner) return (*peer.unix_owner)->uid;
  // A socket that is closed already belongs to uid 0, says the kernel, and has no inode.
  if (peer.tcp_owner && *peer.tcp_owner && (*peer.tcp_owner)->inode != 0)
    return (*peer.tcp_owner)->uid;
  return std::nullopt;
}

Access::Access(CgroupTree& tree, const AccessRules& rules)
    : tree_(tree),
      rules_(rules),
      own_uid_(::geteuid()),
      overflow_uid_(overflow_uid()),
      overflow_gid_(overflow_gid()) {}

Verdict Access::may_mutate(const Caller& caller) {
  return may_ask(caller, nullptr);
}

Verdict Access::may_read(const Caller& caller) {
  if (!rules_.owner_reads) return {.allowed = true, .uid = {}, .why = {}};
  if (caller.listener->transport != Transport::remote) return may_mutate(caller);
  const bool has_token = rules_.tcp_mutations == TcpMutations::token && caller.has_token;
  if (has_token || caller.listener->knows_clients) return {.allowed = true, .uid = {}, .why = {}};
  return refused("reads are for those who are known, and nobody is over this listener");
}

Verdict Access::may_ask(const Caller& caller, const Owns& owns) {
  switch (caller.listener->transport) {
    case Transport::remote:
      return refused("a remote listener serves reads only");
    case Transport::loopback:
      return judge_tcp(caller, owns);
    case Transport::unix_socket:
      break;
  }
  return judge_unix(*caller.peer, owns);
}

// `may_change`: root and the daemon's user may as such, not only as owners.
Verdict Access::judge_uid(unsigned uid, bool may_change, const Owns& owns) const {
  // The overflow uid stands for everybody who has no name in our user namespace.
  if (uid == overflow_uid_)
    return refused("user id " + std::to_string(uid) +
                       " stands for every user without a mapping in this user namespace",
                   uid);
  const bool is_ours = uid == 0 || uid == own_uid_;
  if ((is_ours && may_change) || (owns && owns(uid)))
    return {.allowed = true, .uid = uid, .why = {}};
  return refused("user id " + std::to_string(uid) +
                     (is_ours ? " has to come through the Unix socket"
                              : " is neither root nor surveyd's own") +
                     (owns ? ", nor the owner of the process" : ""),
                 uid);
}

Verdict Access::judge_unix(const Peer& peer, const Owns& owns) const {
  const Result<UnixPeer>& owner = *peer.unix_owner;
  if (!owner) return refused("the caller cannot be identified: " + to_string(owner.error()));
  if (owner->pid == 0) return refused("the caller's process is not visible here", owner->uid);
  Verdict verdict = judge_uid(owner->uid, true, owns);
  if (!verdict.allowed && owner->uid != overflow_uid_ && is_configured(*owner))
    return {.allowed = true, .uid = owner->uid, .why = {}};
  return verdict;
}

bool Access::is_configured(const UnixPeer& peer) const {
  const auto names = [](const std::vector<unsigned>& ids, unsigned id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  // Like the overflow uid, the overflow gid is anybody's.
  const auto names_group = [&](unsigned gid) {
    return gid != overflow_gid_ && names(rules_.gids, gid);
  };
  return names(rules_.uids, peer.uid) || names_group(peer.gid) ||
         std::any_of(peer.groups.begin(), peer.groups.end(), names_group);
}

Verdict Access::judge_tcp(const Caller& caller, const Owns& owns) {
  const bool by_owner = rules_.tcp_mutations == TcpMutations::owner;
  if (rules_.tcp_mutations == TcpMutations::token && caller.has_token)
    return {.allowed = true, .uid = {}, .why = {}};
  if (by_owner || owns) return judge_socket(*caller.peer, by_owner, owns);
  return refused(rules_.tcp_mutations == TcpMutations::token
                     ? "over TCP only requests with the token may (Authorization: Bearer)"
                     : "nobody may over TCP: --tcp-mutations is off");
}

// A client that writes and closes at once is reported as uid 0 with inode 0, and after a reset the
// lookup can hit a listener on the client's old port: hence every condition, twice.
Verdict Access::judge_socket(const Peer& peer, bool may_change, const Owns& owns) {
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
  Verdict verdict = judge_uid(now->uid, may_change, owns);
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
