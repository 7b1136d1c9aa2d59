#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <surveyd/surveyor.hpp>

namespace surveyd::cli {

/// What the service manager is told (sd_notify(3)), and its watchdog. Without a service manager
/// nothing is sent, and without a watchdog nothing wakes up. A service manager that does not read
/// is never waited for: that it is ready, and the status, are said again until there is room for
/// them. Belongs to the serving thread.
class Supervision {
 public:
  /// Takes the watchdog's variables out of the environment: before anybody else looks at that.
  /// Throws StartFailure when they are no numbers.
  explicit Supervision(boost::asio::io_context& context);

  /// Ready with the first one that is no failure, as GET /readyz is: by then every listener
  /// accepts, as that was begun before.
  void surveyed(const Snapshot& snapshot);

  /// A signal asked for this many things; `reloaded` at the end of each. The service manager hears
  /// of the end when nothing is left to be done, for other signals neither.
  void reloading(unsigned things);
  void reloaded();

  /// From now on only the watchdog, and how the end goes on.
  void stopping(const std::string& status);

 private:
  void feed_watchdog();
  void tell();

  boost::asio::steady_timer watchdog_;
  std::optional<std::chrono::microseconds> interval_;  ///< between two signs of life
  boost::asio::steady_timer again_;                    ///< what is owed is said
  std::string status_;                                 ///< of the last survey
  unsigned reloads_ = 0;                               ///< things that have not ended
  bool ready_ = false;
  bool owes_ready_ = false;   ///< READY=1 has to be said
  bool owes_status_ = false;  ///< `status_` has to be said
  bool stopping_ = false;
};

/// For administrators, one line: the modes, and how many findings are what.
[[nodiscard]] std::string status_line(const Snapshot& snapshot);

}  // namespace surveyd::cli
