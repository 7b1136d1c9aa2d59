#include "probes/system_call.hpp"

#include <cerrno>
#include <utility>

namespace surveyd::probes {
namespace {

// What the calls answer to a null pointer, a size of 0 and a descriptor or process of -1.
bool is_the_kernels_own(int answer) {
  return answer == EINVAL || answer == EFAULT || answer == EBADF || answer == ESRCH ||
         answer == E2BIG;
}

std::string shown(const parse::KernelVersion& version) {
  return "Linux " + std::to_string(version.first) + "." + std::to_string(version.second);
}

// Profiles older than the call answer EPERM, and ENOSYS since libseccomp 2.5 and runc 1.0
// (moby#42681).
Finding with_way_out(Subject& subject, const SystemCall& what, Finding finding) {
  const std::string name = what.name;
  if (subject.surroundings().container)
    return with_remedy(std::move(finding),
                       "Upgrade the container engine, its runtime and libseccomp to versions whose "
                       "seccomp profile knows " +
                           name + ", or run the container with --security-opt seccomp=unconfined.");
  // No command: SystemCallFilter= in a unit that had none would refuse everything else.
  if (const auto& unit = subject.surroundings().unit; unit && unit->is_service()) {
    const std::string setting = what.unit_setting;
    return with_remedy(std::move(finding),
                       "Let the filter of " + unit->name + " pass " + name + ": " +
                           (setting.empty() ? "" : setting + ", and ") +
                           "add it to SystemCallFilter=" + " where the unit has that.");
  }
  return with_remedy(std::move(finding),
                     "Let the seccomp filter that surveyd is started under pass " + name + ".");
}

Finding judge_missing(Subject& subject, const SystemCall& what, const Result<int>& filter) {
  const std::string name = what.name;
  const auto version = parse::kernel_version(subject.host().kernel_release());
  if (!version)
    return no(ReasonCode::call_missing, name + " answers ENOSYS: the kernel is older than " +
                                            shown(what.since) + ", or a filter says so");
  if (*version < what.since)
    return no(ReasonCode::kernel_too_old, name + " needs " + shown(what.since));
  // Without a filter it is the kernel, or what poses as one, that does not know the call.
  if (filter && *filter == 0)
    return no(ReasonCode::call_missing, name + " answers ENOSYS, though " + shown(what.since) +
                                            " has it and no seccomp filter is in force");
  return with_way_out(subject, what,
                      no(ReasonCode::call_filtered,
                         "a seccomp filter answers ENOSYS to " + name + ", which the kernel has"));
}

Finding judge(Subject& subject, const SystemCall& what, const Error& answer,
              const Result<int>& filter) {
  const std::string name = what.name;
  const int number = answer.code.value();
  if (is_the_kernels_own(number))
    return yes("the kernel has " + name + ", and nothing keeps it from this process");
  if (number == ENOSYS) return judge_missing(subject, what, filter);
  if (number == 0)
    return no(ReasonCode::call_filtered,
              "something answers " + name + " in the kernel's place: it accepts what cannot be");
  if (is_inconclusive(answer.code))
    return unknown(code_of(answer), name + " could not be asked: " + describe(answer));
  const std::string consequence = what.consequence;
  return with_way_out(subject, what,
                      no(ReasonCode::call_filtered,
                         "a filter refuses " + name + " with " + errno_name(answer.code) +
                             (consequence.empty() ? "" : ": ") + consequence));
}

}  // namespace

Finding system_call(Subject& subject, const SystemCall& what) {
  const Host& host = subject.host();
  const Error answer = os_error(host.answer_to_bad_call(what.call), what.name);
  const auto filter = host.seccomp_mode();
  Finding finding = judge(subject, what, answer, filter);
  const std::string source = std::string{what.name} + "() with bad arguments";
  finding.evidence.push_back(answer.code.value() == 0 ? observed(source, "0")
                                                      : failed(source, answer));
  if (finding.status != Status::yes)
    finding.evidence.push_back(filter ? observed("prctl(PR_GET_SECCOMP)", std::to_string(*filter))
                                      : failed("prctl(PR_GET_SECCOMP)", filter.error()));
  return finding;
}

}  // namespace surveyd::probes
