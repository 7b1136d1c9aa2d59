#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <surveyd/error.hpp>

namespace surveyd {

/// How something that was done in a fork of this process went.
struct ForkOutcome {
  std::string output;         ///< what it had written until its end
  std::optional<int> status;  ///< of wait(2); nothing when it could not even be killed
  bool timed_out = false;     ///< it was killed, after `limit`
};

/// From here on SIGTERM, which also comes when the process that started this one ends, does not end
/// this process, but what it does in a fork.
void end_forks_on_request();

/// Whether that has come.
[[nodiscard]] bool asked_to_end();

/// For a process without threads that is a helper (`become_helper`): runs `work` in a fork of its
/// own and waits. What it still runs when its time is over is killed, and whatever it has left
/// running, too. One that is stuck in the kernel (state D) is left behind. `work` gets the
/// descriptor that it writes its output to; the fork ends with it. Its time is also over when this
/// process is asked to end, unless it `tidies`.
[[nodiscard]] Result<ForkOutcome> run_forked(const std::function<void(int output)>& work,
                                             std::chrono::milliseconds limit, bool tidies = false);

}  // namespace surveyd
