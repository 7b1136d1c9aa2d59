#include "probes/system_call.hpp"

namespace surveyd::probes {

// A process is pinned by one call and signalled by the other: either without the other is of no
// use.
Finding pidfd(Subject& subject) {
  Finding open = system_call(subject, {KernelCall::pidfd_open, "pidfd_open", {5, 3}, ""});
  Finding send =
      system_call(subject, {KernelCall::pidfd_send_signal, "pidfd_send_signal", {5, 1}, ""});
  // One clear no decides.
  const bool second_decides =
      open.status == Status::yes || (open.status == Status::unknown && send.status == Status::no);
  Finding decides = second_decides ? send : open;
  decides.evidence = open.evidence;
  decides.evidence.insert(decides.evidence.end(), send.evidence.begin(), send.evidence.end());
  if (decides.status == Status::yes)
    decides.reason =
        "the kernel has pidfd_open and pidfd_send_signal, and nothing keeps them from "
        "this process";
  return decides;
}

}  // namespace surveyd::probes
