#pragma once

#include <chrono>
#include <cstddef>

namespace surveyd::http {

/// A head, and what is read of a body at a time, have to fit into the buffer of a connection.
inline constexpr std::size_t most_input = 16 * 1024;

/// Deadlines of connections are kept early by this much at most, and not late: half of it is for a
/// loop that comes to it late, or has thousands to end.
inline constexpr std::chrono::milliseconds looked_ahead{250};

/// What one client may cost. Deadlines are absolute: no byte that trickles in extends them.
struct Limits {
  std::size_t head_bytes = 8 * 1024;  ///< at most `most_input`
  std::size_t body_bytes = 16 * 1024;
  std::size_t json_levels = 16;  ///< objects and arrays inside of each other
  /// Of one request as it comes over the wire, so chunk extensions and trailers end too.
  std::size_t request_bytes = 48 * 1024;
  std::chrono::milliseconds head_deadline{10'000};  ///< from its first byte
  std::chrono::milliseconds body_deadline{5'000};   ///< from the end of the head
  std::chrono::milliseconds write_deadline{15'000};
  std::chrono::milliseconds idle_deadline{60'000};   ///< between requests
  std::chrono::milliseconds linger_deadline{2'000};  ///< for unread input at a close
  std::size_t linger_bytes = 64 * 1024;
  std::size_t requests_per_connection = 10'000;
  std::size_t connections = 4'096;
  std::size_t unix_connections = 64;  ///< of these, kept for the Unix socket
  /// Of a cgroup operation: longer than an evacuation may take, so that its own answer arrives.
  std::chrono::milliseconds operation_deadline{15'000};
  std::chrono::milliseconds subject_deadline{5'000};  ///< of a survey of another process
  unsigned subject_questions = 4;                     ///< of them at a time, waiting ones included
  std::chrono::milliseconds removal_deadline{5'000};  ///< of a removal by force
  std::chrono::milliseconds drain_deadline{4'000};    ///< of open requests at the end
  std::chrono::milliseconds drain_patience{500};  ///< then, with a client that has sent nothing yet
};

}  // namespace surveyd::http
