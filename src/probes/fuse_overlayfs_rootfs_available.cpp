#include "probes/answer.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

Program fusermount_binary(const Host& host) {
  Program newer = find_program(host, "fusermount3");
  if (newer.status == Status::yes) return newer;
  Program older = find_program(host, "fusermount");
  if (older.status == Status::no) older.status = newer.status;
  return older;
}

}  // namespace

// The value is the path of fusermount, which is of use even where the rest is missing.
Finding fuse_overlayfs_rootfs_available(Subject& subject) {
  const Host& host = subject.host();
  const auto device = host.try_open("/dev/fuse");
  const Program program = find_program(host, "fuse-overlayfs");
  const Program fusermount = fusermount_binary(host);

  Finding finding;
  finding.value = fusermount.path;
  finding.evidence = {device ? observed("open(/dev/fuse, O_RDWR)", "opened")
                             : failed("open(/dev/fuse, O_RDWR)", device.error()),
                      observed("PATH: fuse-overlayfs", shown(program)),
                      observed("PATH: fusermount3, fusermount", shown(fusermount))};

  // One clear no decides, whatever else is unknown.
  finding.status = Status::yes;
  const auto needs = [&finding](Status status, const std::string& otherwise) {
    if (status == Status::yes) return;
    finding.reason += (finding.reason.empty() ? "" : "; ") + otherwise;
    if (finding.status != Status::no) finding.status = status;
  };
  needs(device ? Status::yes : meaning_of(device.error()),
        device ? "" : "/dev/fuse does not open: " + describe(device.error()));
  needs(program.status, program.status == Status::no
                            ? "fuse-overlayfs is not on PATH"
                            : "PATH cannot be searched for fuse-overlayfs");
  needs(fusermount.status, fusermount.status == Status::no
                               ? "neither fusermount3 nor fusermount is on PATH"
                               : "PATH cannot be searched for fusermount3");
  if (finding.status == Status::yes)
    finding.reason = "/dev/fuse opens, fuse-overlayfs and " + fusermount.path + " are there";
  return finding;
}

}  // namespace surveyd::probes
