#include "domain/evidence.hpp"
#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {

Finding tun_device_available(Subject& subject) {
  constexpr const char* path = "/dev/net/tun";
  const auto opened = subject.host().try_open(path);
  if (!opened) {
    Finding finding = answer(meaning_of(opened.error()),
                             "/dev/net/tun does not open: " + describe(opened.error()));
    finding.evidence.push_back(failed("open(/dev/net/tun, O_RDWR)", opened.error()));
    return finding;
  }
  // No TUNSETIFF: that would make an interface.
  Finding finding;
  finding.status = Status::yes;
  if (opened->kind == FileKind::character_device)
    finding.value =
        std::to_string(opened->device_major) + ":" + std::to_string(opened->device_minor);
  finding.reason = finding.value == tun_device_number
                       ? "/dev/net/tun opens and is the TUN device"
                       : "/dev/net/tun opens but is not the TUN device 10:200";
  finding.evidence.push_back(
      observed("open(/dev/net/tun, O_RDWR)",
               finding.value.empty() ? "not a character device" : "device " + finding.value));
  return finding;
}

}  // namespace surveyd::probes
