#include <algorithm>
#include <cerrno>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* actions_file = "/proc/sys/kernel/seccomp/actions_avail";
constexpr int filtered = 2;  // SECCOMP_MODE_FILTER

Evidence evidence_of(const Result<int>& mode) {
  constexpr const char* source = "prctl(PR_GET_SECCOMP)";
  if (!mode) return failed(source, mode.error());
  return observed(source, *mode == filtered ? "2: this process is filtered itself"
                          : *mode == 0      ? "0: this process is not filtered"
                                            : std::to_string(*mode));
}

Finding lacking(std::string why) {
  return with_remedy(no(ReasonCode::kernel_lacks, std::move(why)),
                     "Boot a kernel that is built with CONFIG_SECCOMP_FILTER.");
}

// Without the list: what follows from this process alone.
Finding without_list(const Host& host, const Result<int>& mode, const Result<std::string>& list) {
  if (mode && *mode == filtered) return yes("this process runs under a seccomp filter itself");
  if (!mode && errno_name(mode.error().code) == "EINVAL")
    return lacking("the kernel is built without seccomp");
  // The whole directory comes with CONFIG_SECCOMP_FILTER, since Linux 4.14.
  const bool no_file = !list && errno_name(list.error().code) == "ENOENT";
  if (no_file && mode && host.stat(kernel_neighbour) && !host.stat("/proc/sys/kernel/seccomp"))
    return lacking("the kernel is built without seccomp filters, or is older than 4.14");
  if (!list && code_of(list.error()) == ReasonCode::out_of_resources)
    return unknown(ReasonCode::out_of_resources,
                   std::string{actions_file} + ": " + describe(list.error()));
  return unknown(ReasonCode::unreadable,
                 std::string{actions_file} +
                     (list ? " is empty: masked" : " cannot be read: " + describe(list.error())));
}

}  // namespace

// Any process may install a filter, once it has given up new privileges.
Finding seccomp_filter(Subject& subject) {
  const Host& host = subject.host();
  const auto list = host.read(actions_file);
  const auto mode = host.seccomp_mode();
  const auto actions = parse::words(list ? *list : std::string{});
  Finding finding = std::find(actions.begin(), actions.end(), "errno") != actions.end()
                        ? yes("the kernel filters system calls")
                        : without_list(host, mode, list);
  for (const std::string& action : actions)
    finding.value += (finding.value.empty() ? "" : " ") + action;
  finding.evidence = {
      list ? observed(actions_file, finding.value) : failed(actions_file, list.error()),
      evidence_of(mode)};
  return finding;
}

}  // namespace surveyd::probes
