#pragma once

#include <string>

namespace surveyd::http {

/// PEM files.
struct TlsFiles {
  std::string certificate;  ///< with its chain; empty: no TLS
  std::string key;
  std::string client_authorities;  ///< clients need a certificate of one of these; empty: anybody
};

}  // namespace surveyd::http
