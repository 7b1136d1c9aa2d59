#include <algorithm>
#include <cerrno>
#include <utility>

#include "parse/accounts.hpp"
#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/remedies.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* device = "/dev/kvm";
// Documentation/admin-guide/devices.txt, and include/uapi/linux/kvm.h.
constexpr unsigned misc_major = 10;
constexpr unsigned kvm_minor = 232;
constexpr int api_version = 12;

// An owner that has no mapping in the own user namespace.
constexpr unsigned overflow_id = 65534;

// Its sign in arch/x86/include/asm/cpufeatures.h, and the module that uses it.
struct Virtualisation {
  unsigned feature;
  const char* flag;
  const char* module;
};
constexpr Virtualisation x86[] = {{4 * 32 + 5, "vmx", "kvm_intel"}, {6 * 32 + 2, "svm", "kvm_amd"}};

bool in_container(Subject& subject) {
  return subject.surroundings().container;
}

Finding pass_device(Finding finding) {
  return with_remedy(std::move(finding), "Start the container with --device /dev/kvm");
}

bool can_load(Subject& subject, const char* module) {
  const auto& names = subject.loadable_modules();
  return names && std::find(names->begin(), names->end(), module) != names->end();
}

// /proc/cpuinfo has the same flags once for each processor, and on some kernels waits for them all.
Finding missing_driver(Subject& subject, Finding finding) {
  constexpr const char* modalias = "/sys/devices/system/cpu/modalias";
  const auto features = subject.host().read(modalias);
  if (!features) {
    finding.evidence.push_back(failed(modalias, features.error()));
    return finding;
  }
  const auto* found =
      std::find_if(std::begin(x86), std::end(x86), [&features](const Virtualisation& one) {
        return parse::has_cpu_feature(*features, one.feature);
      });
  if (found == std::end(x86)) {
    finding.evidence.push_back(observed(modalias, "neither vmx nor svm"));
    finding.reason += "; the processor offers no virtualisation, or the firmware has it off";
    return finding;
  }
  finding.evidence.push_back(observed(modalias, found->flag));
  const std::string module = found->module;
  if (in_container(subject)) {
    const bool node_missing = finding.code == ReasonCode::device_missing;
    return with_remedy(std::move(finding),
                       "Load the module " + module + " on the host" +
                           (node_missing ? ", and start the container with --device /dev/kvm" : ""),
                       "modprobe " + module);
  }
  // Where modprobe would not find it, telling to run that would lead nowhere.
  if (!can_load(subject, found->module)) return finding;
  return with_remedy(std::move(finding), "Load the module " + module, "modprobe " + module);
}

Finding missing(Subject& subject, Finding finding) {
  const auto drivers = subject.host().read("/proc/misc");
  if (!drivers) {
    finding.evidence.push_back(failed("/proc/misc", drivers.error()));
    return in_container(subject) ? pass_device(std::move(finding)) : finding;
  }
  if (!parse::lists_misc_device(*drivers, kvm_minor, "kvm")) {
    finding.evidence.push_back(observed("/proc/misc", "no kvm"));
    return missing_driver(subject, std::move(finding));
  }
  finding.evidence.push_back(observed("/proc/misc", "232 kvm"));
  finding.reason += ", though the kernel has the driver";
  if (in_container(subject)) return pass_device(std::move(finding));
  return with_remedy(std::move(finding), "Make the device node", "mknod -m 0660 /dev/kvm c 10 232");
}

// EACCES: the node's own mode.
Finding closed_node(Subject& subject, Finding finding) {
  const Host& host = subject.host();
  const auto node = host.stat(device);
  const unsigned uid = host.effective_uid();
  if (!node || uid == 0) return finding;
  const bool group_opens = (node->mode & 060) == 060;
  if (in_container(subject)) {
    if (!group_opens) return finding;
    return with_remedy(std::move(finding),
                       node->group == overflow_id
                           ? "Start the container with --device /dev/kvm --group-add keep-groups"
                           : "Start the container with --device /dev/kvm --group-add " +
                                 std::to_string(node->group));
  }
  if (!group_opens)
    return with_remedy(std::move(finding),
                       "Open the node to its users, as udev does by default; a udev rule may set "
                       "the mode again at the next boot",
                       "chmod 0666 /dev/kvm");
  const auto groups = host.read("/etc/group");
  const auto users = host.read("/etc/passwd");
  const std::string group = groups ? parse::group_name(*groups, node->group).value_or("") : "";
  const std::string user = users ? parse::user_name(*users, uid).value_or("") : "";
  if (group.empty() || user.empty()) return finding;
  return with_remedy(std::move(finding),
                     "Add " + user + " to the group " + group +
                         ", which the node is open to, and start surveyd anew from a new login",
                     "usermod -aG " + group + " " + user);
}

// EPERM: the device cgroup.
Finding forbidden(Subject& subject, Finding finding) {
  if (in_container(subject)) return pass_device(std::move(finding));
  return with_remedy(std::move(finding),
                     change_service(subject, "kvm", "Allow the service the device.",
                                    "DeviceAllow=/dev/kvm rw\\nPrivateDevices=no"));
}

Finding does_not_open(Subject& subject, const Error& error) {
  const std::string why = "/dev/kvm does not open: " + describe(error);
  const Evidence evidence = failed("open(/dev/kvm, O_RDWR)", error);
  const auto refusal = [&evidence, &why](ReasonCode code) {
    Finding finding = no(code, why);
    finding.evidence.push_back(evidence);
    return finding;
  };
  switch (error.code.value()) {
    case ENOENT:
    case ENOTDIR:
      return missing(subject, refusal(ReasonCode::device_missing));
    case EACCES:
      return closed_node(subject, refusal(ReasonCode::device_denied));
    case EPERM:
      return forbidden(subject, refusal(ReasonCode::device_denied));
    case ENODEV:
    case ENXIO:
      return missing_driver(subject, refusal(ReasonCode::device_without_driver));
    case EISDIR:
    case ELOOP:
      return refusal(ReasonCode::not_the_device);
    default:
      Finding finding = unknown(code_of(error), why);
      finding.evidence.push_back(evidence);
      return finding;
  }
}

Finding another_device(const FileInfo& opened) {
  const std::string what = opened.kind == FileKind::character_device
                               ? "device " + std::to_string(opened.device_major) + ":" +
                                     std::to_string(opened.device_minor)
                               : "not a character device";
  Finding finding = no(ReasonCode::not_the_device,
                       "/dev/kvm opens but is not the KVM device 10:232: it is " + what);
  finding.evidence.push_back(observed("open(/dev/kvm, O_RDWR)", what));
  return finding;
}

}  // namespace

Finding kvm(Subject& subject) {
  const auto opened = subject.host().try_open(device);
  if (!opened) return does_not_open(subject, opened.error());
  if (opened->kind != FileKind::character_device || opened->device_major != misc_major ||
      opened->device_minor != kvm_minor)
    return another_device(*opened);

  const auto version = subject.host().kvm_api_version(device);
  constexpr const char* source = "ioctl(/dev/kvm, KVM_GET_API_VERSION)";
  const Evidence node = observed("open(/dev/kvm, O_RDWR)", "device 10:232");
  if (!version) {
    const bool another = version.error().code == std::errc::inappropriate_io_control_operation;
    const std::string why = "/dev/kvm does not say its API version: " + describe(version.error());
    Finding finding =
        another ? no(ReasonCode::not_the_device, why) : unknown(code_of(version.error()), why);
    finding.evidence = {node, failed(source, version.error())};
    return finding;
  }
  const std::string number = std::to_string(*version);
  Finding finding = *version == api_version
                        ? yes("/dev/kvm opens and is KVM with API version 12")
                        : no(ReasonCode::not_the_device,
                             "/dev/kvm has API version " + number + ", where Linux has 12");
  finding.value = number;
  finding.evidence = {node, observed(source, number)};
  return finding;
}

}  // namespace surveyd::probes
