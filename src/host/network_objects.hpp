#pragma once

#include <surveyd/error.hpp>

namespace surveyd {

/// What container networks are made of, made in the network namespace that this process is in: for
/// one of its own, with which they go. The errors are the kernel's own answers: EPERM without
/// CAP_NET_ADMIN over that namespace, EOPNOTSUPP from a kernel that has no such thing and found no
/// module to load for it. The error's `op` names the request.

/// A link of this kind (IFLA_INFO_KIND): `bridge`, `veth` with its peer, `vxlan` with a VNI,
/// `wireguard`. It stays down.
[[nodiscard]] Result<void> make_link(const char* kind);

/// An nftables table without chains.
[[nodiscard]] Result<void> make_nftables_table();

}  // namespace surveyd
