#include "domain/evidence.hpp"
#include "probes/answer.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* path = "/dev/net/tun";
constexpr const char* source = "open(/dev/net/tun, O_RDWR)";
constexpr unsigned major = 10;
constexpr unsigned minor = 200;

std::string octal(unsigned mode) {
  std::string digits;
  for (unsigned shift = 12; shift > 0; shift -= 3)
    digits += static_cast<char>('0' + (mode >> (shift - 3) & 7));
  return digits;
}

Finding refused(Subject& subject, const Error& error) {
  Finding finding = answer(meaning_of(error), code_of_device(error),
                           "/dev/net/tun does not open: " + describe(error));
  finding.evidence.push_back(failed(source, error));
  if (finding.status == Status::unknown) return finding;
  if (const auto info = subject.host().stat(path))
    finding.evidence.push_back(observed(
        "stat(/dev/net/tun)", "mode " + octal(info->mode) + ", owner " +
                                  std::to_string(info->owner) + ":" + std::to_string(info->group)));
  return with_remedy(finding, provide_device(subject, path, "tun", major, minor, error));
}

Remedy replace_node(Subject& subject) {
  if (subject.surroundings().container)
    return {"Start the container with the device of the host: --device /dev/net/tun.", {}};
  return {"Replace it by the TUN device.",
          "modprobe tun; rm -f /dev/net/tun && mknod -m 0666 /dev/net/tun c 10 200"};
}

}  // namespace

Finding tun_device_available(Subject& subject) {
  const auto opened = subject.host().try_open(path);
  if (!opened) return refused(subject, opened.error());
  // No TUNSETIFF: that would make an interface.
  std::string number;
  if (opened->kind == FileKind::character_device)
    number = std::to_string(opened->device_major) + ":" + std::to_string(opened->device_minor);
  Finding finding = number == tun_device_number
                        ? yes("/dev/net/tun opens and is the TUN device")
                        // The reference takes whatever opens.
                        : with_remedy(yes(ReasonCode::not_the_device,
                                          "/dev/net/tun opens but is not the TUN device 10:200"),
                                      replace_node(subject));
  finding.evidence.push_back(
      observed(source, number.empty() ? "not a character device" : "device " + number));
  finding.value = std::move(number);
  return finding;
}

}  // namespace surveyd::probes
