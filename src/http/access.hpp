#pragma once

#include <functional>
#include <optional>
#include <string>

#include <surveyd/cgroup_tree.hpp>

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

/// Who asks for a mutation, and whether they may.
struct Verdict {
  bool allowed = false;
  std::optional<unsigned> uid;  ///< as far as it is known
  std::string why;              ///< one sentence, for a refusal
};

/// The rules for callers. One object, used by the thread that changes cgroups.
class Access {
 public:
  explicit Access(CgroupTree& tree);

  /// Asks the kernel once more and decides. Root and the daemon's own user may; a socket whose
  /// owner cannot be proven may not.
  [[nodiscard]] Verdict may_mutate(const Listener& listener, const Peer& peer);

  /// The same, or the caller is the owner of what is asked about: `owns` says so of a uid that is
  /// proven, and never gets the overflow uid.
  [[nodiscard]] Verdict may_ask(const Listener& listener, const Peer& peer,
                                const std::function<bool(unsigned uid)>& owns);

 private:
  using Judge = std::function<Verdict(unsigned uid)>;

  [[nodiscard]] Verdict judge_uid(unsigned uid) const;
  [[nodiscard]] Verdict judge_peer(const Listener& listener, const Peer& peer, const Judge& judge);
  [[nodiscard]] Verdict judge_tcp(const Peer& peer, const Judge& judge);

  CgroupTree& tree_;
  SocketDiagnosis diagnosis_;
  unsigned own_uid_;
  unsigned overflow_uid_;
};

}  // namespace surveyd::http
