#include "cli/credentials.hpp"

#include <cerrno>
#include <exception>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
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
  auto loaded = load(settings_);
  if (!loaded) throw StartFailure(describe(loaded.error()));
  use(std::move(*loaded));
}

void Credentials::reload(std::function<void()> done) {
  waiting_.push_back(std::move(done));
  if (!reading_) begin();
}

void Credentials::begin() {
  reading_ = true;
  worker_.post([this, callers = std::exchange(waiting_, {})] {
    Result<Loaded> loaded = os_error(ENOMEM, "read", "the credentials");
    try {
      loaded = load(settings_);
    } catch (const std::exception&) {
      // Out of memory, as it says.
    }
    boost::asio::post(executor_, [this, loaded = std::move(loaded), callers]() mutable {
      end(std::move(loaded), callers);
    });
  });
}

void Credentials::end(Result<Loaded> loaded, const Callers& callers) {
  reading_ = false;
  if (loaded)
    use(std::move(*loaded));
  else
    spdlog::error("{}; what was read before still holds", describe(loaded.error()));
  for (const auto& done : callers) done();
  if (!waiting_.empty()) begin();
}

// On the worker. Nothing takes effect unless all of it can be used.
Result<Credentials::Loaded> Credentials::load(const Settings& settings) {
  Loaded loaded;
  if (!settings.token_file.empty()) {
    auto secret = read_secret(settings.token_file);
    if (!secret) return secret.error();
    loaded.token = std::move(*secret);
  }
  if (!settings.tls.certificate.empty()) {
    auto tls = http::load_tls(settings.tls);
    if (!tls) return tls.error();
    loaded.tls = std::move(*tls);
  }
  return loaded;
}

void Credentials::use(Loaded loaded) {
  service_.token = std::move(loaded.token);
  server_.use_tls(std::move(loaded.tls));
}

}  // namespace surveyd::cli
