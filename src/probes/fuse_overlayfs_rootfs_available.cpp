#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

std::optional<std::string> fusermount_binary(const Host& host) {
  auto path = find_program(host, "fusermount3");
  return path ? path : find_program(host, "fusermount");
}

}  // namespace

// The value is the path of fusermount, which is of use even where the rest is missing.
Finding fuse_overlayfs_rootfs_available(Subject& subject) {
  const Host& host = subject.host();
  const auto device = host.try_open("/dev/fuse");
  const auto program = find_program(host, "fuse-overlayfs");
  const auto fusermount = fusermount_binary(host);

  Finding finding;
  finding.value = fusermount.value_or("");
  finding.evidence.push_back(device ? observed("open(/dev/fuse, O_RDWR)", "opened")
                                    : failed("open(/dev/fuse, O_RDWR)", device.error()));
  finding.evidence.push_back(observed("PATH: fuse-overlayfs", program.value_or("not found")));
  finding.evidence.push_back(
      observed("PATH: fusermount3, fusermount", fusermount.value_or("not found")));

  std::string missing;
  const auto lacks = [&missing](const std::string& what) {
    missing += (missing.empty() ? "" : "; ") + what;
  };
  if (!device) lacks("/dev/fuse does not open: " + describe(device.error()));
  if (!program) lacks("fuse-overlayfs is not on PATH");
  if (!fusermount) lacks("neither fusermount3 nor fusermount is on PATH");
  if (missing.empty()) {
    finding.status = Status::yes;
    finding.reason = "/dev/fuse opens, fuse-overlayfs and " + *fusermount + " are there";
  } else {
    const bool helpers = program && fusermount;
    finding.status = helpers ? meaning_of(device.error()) : Status::no;
    finding.reason = missing;
  }
  return finding;
}

}  // namespace surveyd::probes
