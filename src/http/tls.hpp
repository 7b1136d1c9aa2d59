#pragma once

#include <memory>

#include <surveyd/error.hpp>

#include "http/stream.hpp"
#include "http/tls_files.hpp"

namespace surveyd::http {

/// A server's context: TLS 1.2 at least. EINVAL with OpenSSL's words when a file cannot be used.
[[nodiscard]] Result<std::shared_ptr<TlsContext>> load_tls(const TlsFiles& files);

}  // namespace surveyd::http
