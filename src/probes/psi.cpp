#include <algorithm>

#include "parse/kernel.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr parse::KernelVersion first_version{4, 20};

const Remedy boot_with_psi{"Boot with psi=1 on the kernel command line.", {}};

bool is_errno(const Error& error, std::string_view name) {
  return errno_name(error.code) == name;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
bool is_pressure(const std::string& text) {
  return text.starts_with("some ");
}

// No /proc/pressure, where /proc shows what concerns the whole machine. Until 5.8 or so the files
// were there and answered EOPNOTSUPP when it was turned off; later kernels then have none.
void explain_absence(const Host& host, Inquiry& inquiry) {
  const auto command_line = host.read("/proc/cmdline");
  if (!command_line || parse::trimmed(*command_line).empty()) {
    inquiry.saw(command_line ? observed("/proc/cmdline", "")
                             : failed("/proc/cmdline", command_line.error()));
    return inquiry.unknown(
        ReasonCode::unreadable,
        "there is no /proc/pressure, nor anything else about the machine: masked");
  }
  const auto version = parse::kernel_version(host.kernel_release());
  if (version && *version < first_version)
    return inquiry.no(ReasonCode::kernel_too_old, "pressure stall information came with Linux 4.20",
                      Remedy{"Boot Linux 4.20 or newer.", {}});
  const auto options = parse::words(*command_line);
  const auto given = std::find_if(options.begin(), options.end(),
                                  [](const std::string& one) { return one.starts_with("psi="); });
  inquiry.saw(observed("/proc/cmdline", given == options.end() ? "no psi=" : *given));
  if (given != options.end() && *given != "psi=1")
    return inquiry.no(ReasonCode::turned_off,
                      "pressure stall information was turned off at boot: " + *given,
                      boot_with_psi);
  if (given != options.end())
    return inquiry.no(ReasonCode::kernel_lacks, "the kernel is built without CONFIG_PSI");
  inquiry.no(
      ReasonCode::kernel_lacks,
      "the kernel is built without CONFIG_PSI, or with CONFIG_PSI_DEFAULT_DISABLED and "
      "started without psi=1",
      Remedy{"Where the kernel is built with CONFIG_PSI, boot with psi=1 on its command line.",
             {}});
}

// Whether it could be read; the first that cannot says why.
bool ask_machine(const Host& host, Inquiry& inquiry) {
  for (const char* file : {"/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"}) {
    const auto pressure = host.read(file);
    inquiry.saw(pressure ? observed(file, std::string{parse::trimmed(*pressure)})
                         : failed(file, pressure.error()));
    if (pressure && is_pressure(*pressure)) continue;
    const std::string why =
        std::string{file} +
        (pressure ? " is empty: masked" : " cannot be read: " + describe(pressure.error()));
    if (!pressure && is_errno(pressure.error(), "EOPNOTSUPP"))
      inquiry.no(ReasonCode::turned_off, "pressure stall information is turned off", boot_with_psi);
    else if (!pressure && is_errno(pressure.error(), "ENOENT"))
      explain_absence(host, inquiry);
    else
      inquiry.unknown(!pressure && code_of(pressure.error()) == ReasonCode::out_of_resources
                          ? ReasonCode::out_of_resources
                          : ReasonCode::unreadable,
                      why);
    return false;
  }
  return true;
}

// Each cgroup can turn it off for itself since 6.1; its files are hidden then.
void ask_container_parent(Subject& subject, Inquiry& inquiry) {
  if (subject.hierarchy().version != cgroup::Version::v2) return;
  const auto& parent = subject.container_parent();
  if (!parent || !parent->exists || parent->levels.empty()) return;
  const std::string& directory = parent->levels.back();
  const Host& host = subject.host();
  const std::string pressure_file = directory + "/memory.pressure";
  const auto pressure = host.read(pressure_file);
  inquiry.saw(pressure ? observed(pressure_file, std::string{parse::trimmed(*pressure)})
                       : failed(pressure_file, pressure.error()));
  if (pressure && is_pressure(*pressure)) return;
  const std::string switch_file = directory + "/cgroup.pressure";
  const auto on = host.read(switch_file);
  inquiry.saw(on ? observed(switch_file, std::string{parse::trimmed(*on)})
                 : failed(switch_file, on.error()));
  if (on && parse::trimmed(*on) == "0")
    inquiry.no(ReasonCode::turned_off, switch_file + " is 0",
               Remedy{"Turn it on in the container parent.", "echo 1 > " + switch_file});
  else if (!pressure && is_errno(pressure.error(), "ENOENT"))
    inquiry.no(
        ReasonCode::turned_off,
        directory + " has no pressure files: cgroup_disable=pressure, or a kernel before 5.2");
  else if (!pressure && is_errno(pressure.error(), "EOPNOTSUPP"))
    inquiry.no(ReasonCode::turned_off, "pressure stall information is turned off in cgroups",
               boot_with_psi);
  else
    inquiry.unknown(pressure ? ReasonCode::unreadable : code_of(pressure.error()),
                    pressure_file + (pressure ? " is empty"
                                              : " cannot be read: " + describe(pressure.error())));
}

}  // namespace

Finding psi(Subject& subject) {
  Inquiry inquiry;
  if (ask_machine(subject.host(), inquiry)) ask_container_parent(subject, inquiry);
  return inquiry.conclude("the kernel tells how long tasks wait for processor, memory and I/O");
}

}  // namespace surveyd::probes
