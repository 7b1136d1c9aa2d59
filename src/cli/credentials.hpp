#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "cli/settings.hpp"
#include "http/server.hpp"
#include "run/worker.hpp"

namespace surveyd::cli {

/// The files behind --token-file and --tls-..., which SIGHUP reads again. Belongs to the serving
/// thread; what it uses outlives it.
class Credentials {
 public:
  Credentials(const boost::asio::io_context::executor_type& executor, const Settings& settings,
              http::Service& service, http::Server& server, run::Worker& worker)
      : executor_(executor),
        settings_(settings),
        service_(service),
        server_(server),
        worker_(worker) {}

  /// Throws StartFailure.
  void load_or_fail();

  /// Reads them on the worker, where a file system that hangs holds nobody up, and begins after
  /// this call: callers who wait for the next reading share it. What cannot be used leaves what was
  /// read before, and a line in the log. `done` is called in either case.
  void reload(std::function<void()> done);

 private:
  struct Loaded {
    std::string token;
    std::shared_ptr<http::TlsContext> tls;
  };
  using Callers = std::vector<std::function<void()>>;

  static Result<Loaded> load(const Settings& settings);
  void begin();
  void end(Result<Loaded> loaded, const Callers& callers);
  void use(Loaded loaded);

  boost::asio::io_context::executor_type executor_;
  const Settings& settings_;
  http::Service& service_;
  http::Server& server_;
  run::Worker& worker_;
  bool reading_ = false;
  Callers waiting_;  ///< for the next reading
};

}  // namespace surveyd::cli
