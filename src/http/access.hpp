#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <surveyd/cgroup_tree.hpp>

#include "http/access_rules.hpp"
#include "http/peer.hpp"
#include "http/response.hpp"

namespace surveyd::http {

/// Whether the request is for us: its `Host` is one of the listener's. Otherwise a page that
/// made a name of its own point to loopback (DNS rebinding) could read everything. The answer to
/// give when it is not.
[[nodiscard]] std::optional<Response> refuse_host(const Request& request, const Listener& listener,
                                                  std::string_view authority_of_target);

/// What no mutation may carry: the marks of a browser or of a proxy, or a body that a form could
/// send. The answer to give when it does.
[[nodiscard]] std::optional<Response> refuse_borrowed(const Request& request,
                                                      const std::string& unix_socket);

/// Whether the request carries `Authorization: Bearer <token>`, compared in constant time. Never
/// true for an empty `token`.
[[nodiscard]] bool carries_token(const Request& request, std::string_view token);

/// Whose the other end was when the connection was accepted, for the log: no proof of anything.
[[nodiscard]] std::optional<unsigned> uid_at_accept(const Peer& peer);

/// Who asks for something, and whether they may.
struct Verdict {
  bool allowed = false;
  std::optional<unsigned> uid;  ///< as far as it is known
  std::string why;              ///< one sentence, for a refusal
};

/// The rules for callers. One object a thread: it belongs to the worker of `tree`.
class Access {
 public:
  Access(CgroupTree& tree, const AccessRules& rules);

  /// Asks the kernel once more and decides. A caller that cannot be proven may not.
  [[nodiscard]] Verdict may_mutate(const Caller& caller);

  /// The same where the rules say so. Over a remote listener, whose callers never change anything,
  /// the token counts, and a client certificate where those are asked for.
  [[nodiscard]] Verdict may_read(const Caller& caller);

  /// As `may_mutate`, or the caller is the owner of what is asked about: `owns` says so of a uid
  /// that is proven, and never gets the overflow uid.
  [[nodiscard]] Verdict may_ask(const Caller& caller,
                                const std::function<bool(unsigned uid)>& owns);

 private:
  using Owns = std::function<bool(unsigned uid)>;

  [[nodiscard]] Verdict judge_uid(unsigned uid, bool may_change, const Owns& owns) const;
  [[nodiscard]] Verdict judge_tcp(const Caller& caller, const Owns& owns);
  [[nodiscard]] Verdict judge_socket(const Peer& peer, bool may_change, const Owns& owns);
  [[nodiscard]] Verdict judge_unix(const Peer& peer, const Owns& owns) const;
  [[nodiscard]] bool is_configured(const UnixPeer& peer) const;

  CgroupTree& tree_;
  AccessRules rules_;
  SocketDiagnosis diagnosis_;
  unsigned own_uid_;
  unsigned overflow_uid_;
  unsigned overflow_gid_;
};

}  // namespace surveyd::http
