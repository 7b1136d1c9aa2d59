#pragma once

#include "cli/settings.hpp"
#include "http/server.hpp"

namespace surveyd::cli {

/// The files behind --token-file and --tls-..., which SIGHUP reads again.
class Credentials {
 public:
  Credentials(const Settings& settings, http::Service& service, http::Server& server)
      : settings_(settings), service_(service), server_(server) {}

  /// Throws StartFailure.
  void load_or_fail();

  /// What cannot be used leaves what was read before, and a line in the log.
  void reload();

 private:
  Result<void> load();

  const Settings& settings_;
  http::Service& service_;
  http::Server& server_;
};

}  // namespace surveyd::cli
