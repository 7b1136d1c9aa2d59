#include <algorithm>

#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* enforce_file = "/sys/fs/selinux/enforce";
constexpr const char* settings_file = "/etc/selinux/config";

// Where it is active the file system is registered, whether or not it is mounted here.
bool is_registered(const std::string& filesystems) {
  const auto names = parse::words(filesystems);
  return std::find(names.begin(), names.end(), "selinuxfs") != names.end();
}

Finding from_enforce(std::string_view answered) {
  if (answered == "1") {
    Finding finding = yes("SELinux enforces its policy");
    finding.value = "enforcing";
    return finding;
  }
  if (answered != "0")
    return unknown(ReasonCode::unreadable, std::string{enforce_file} + " says neither 0 nor 1");
  Finding finding = with_remedy(
      no(ReasonCode::permissive, "SELinux logs what it would refuse, and enforces nothing"),
      "Let SELinux enforce its policy, now and at every boot.",
      "setenforce 1 && sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config");
  finding.value = "permissive";
  return finding;
}

// The kernel does not say whether it could be turned on; the settings of a distribution that uses
// it are the sign.
Finding inactive(const Host& host) {
  const auto settings = host.read(settings_file);
  Finding finding =
      settings
          ? with_remedy(no(ReasonCode::turned_off, "SELinux is turned off"),
                        "Turn it on in permissive mode and boot: files are labelled then. Also "
                        "take selinux=0 off the kernel command line, where it is there.",
                        "sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config && "
                        "touch /.autorelabel")
          : no(ReasonCode::kernel_lacks,
               "SELinux is not active: the kernel is built, or was started, without it");
  finding.value = "disabled";
  finding.evidence.push_back(settings ? observed(settings_file, "present")
                                      : failed(settings_file, settings.error()));
  return finding;
}

// Active, and its file system is not to be seen. Without a policy every process is "kernel".
Finding hidden(const Host& host, const Error& error) {
  const auto context = host.read("/proc/self/attr/current");
  std::string label{context ? parse::trimmed(*context) : std::string_view{}};
  while (label.ends_with('\0')) label.pop_back();  // the kernel counts it in
  Finding finding;
  if (label == "kernel") {
    finding = no(ReasonCode::turned_off, "SELinux is active without a policy");
    finding.value = "disabled";
  } else {
    finding = unknown(ReasonCode::unreadable,
                      std::string{"SELinux is active; whether it enforces cannot be read: "} +
                          enforce_file + ": " + describe(error));
  }
  finding.evidence.push_back(context ? observed("/proc/self/attr/current", label)
                                     : failed("/proc/self/attr/current", context.error()));
  return finding;
}

}  // namespace

Finding selinux(Subject& subject) {
  const Host& host = subject.host();
  const auto enforce = host.read(enforce_file);
  if (enforce) {
    Finding finding = from_enforce(parse::trimmed(*enforce));
    finding.evidence = {observed(enforce_file, std::string{parse::trimmed(*enforce)})};
    return finding;
  }
  const auto filesystems = host.read("/proc/filesystems");
  const bool registered = filesystems && is_registered(*filesystems);
  Finding finding = registered ? hidden(host, enforce.error()) : Finding{};
  if (!filesystems || parse::trimmed(*filesystems).empty())
    finding = unknown(ReasonCode::unreadable,
                      "neither /sys/fs/selinux nor /proc/filesystems says "
                      "whether SELinux is active");
  else if (!registered)
    finding = inactive(host);
  const auto seen = filesystems
                        ? observed("/proc/filesystems", registered ? "selinuxfs" : "no selinuxfs")
                        : failed("/proc/filesystems", filesystems.error());
  finding.evidence.insert(finding.evidence.begin(), {failed(enforce_file, enforce.error()), seen});
  return finding;
}

}  // namespace surveyd::probes
