#include "cli/credentials.hpp"

#include <string>
#include <utility>

#include <spdlog/spdlog.h>

#include "cli/start_failure.hpp"
#include "host/secret_file.hpp"
#include "http/tls.hpp"

namespace surveyd::cli {
namespace {

std::string describe(const Error& error) {
  return "cannot " + error.op + " " + error.path + ": " +
         (error.detail.empty() ? error.code.message() : error.detail);
}

}  // namespace

void Credentials::load_or_fail() {
  if (const auto loaded = load(); !loaded) throw StartFailure(describe(loaded.error()));
}

void Credentials::reload() {
  if (const auto loaded = load(); !loaded)
    spdlog::error("{}; what was read before still holds", describe(loaded.error()));
}

// Nothing takes effect unless all of it can be used.
Result<void> Credentials::load() {
  std::string token;
  std::shared_ptr<http::TlsContext> tls;
  if (!settings_.token_file.empty()) {
    auto secret = read_secret(settings_.token_file);
    if (!secret) return secret.error();
    token = std::move(*secret);
  }
  if (!settings_.tls.certificate.empty()) {
    auto loaded = http::load_tls(settings_.tls);
    if (!loaded) return loaded.error();
    tls = std::move(*loaded);
  }
  service_.token = std::move(token);
  server_.use_tls(std::move(tls));
  return {};
}

}  // namespace surveyd::cli
