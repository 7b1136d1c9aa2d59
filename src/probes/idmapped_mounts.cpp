#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include <linux/capability.h>

#include <surveyd/probe.hpp>

#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/privilege.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr parse::KernelVersion first_version{5, 12};

// Since when a file system has FS_ALLOW_IDMAP (mount_setattr(2), NOTES). ext2 and ext3 mounts have
// the magic of ext4 and not the flag; only a trial tells.
struct FileSystemRow {
  std::uint64_t magic;
  const char* name;
  parse::KernelVersion since;
};
constexpr std::array file_systems = {
    FileSystemRow{0xEF53, "ext4", {5, 12}},        FileSystemRow{0x4d44, "vfat", {5, 12}},
    FileSystemRow{0x58465342, "xfs", {5, 12}},     FileSystemRow{0x9123683E, "btrfs", {5, 15}},
    FileSystemRow{0xF2F52010, "f2fs", {5, 18}},    FileSystemRow{0xE0F5E1E2, "erofs", {5, 19}},
    FileSystemRow{0x73717368, "squashfs", {6, 2}}, FileSystemRow{tmpfs_magic, "tmpfs", {6, 3}},
    FileSystemRow{0x00c36400, "cephfs", {6, 7}}};

// Without the flag in every kernel up to 6.18. Since 5.19 overlayfs takes layers that are mounted
// with an id map; a mount of overlayfs itself cannot have one.
struct UnsuitableRow {
  std::uint64_t magic;
  const char* name;
};
constexpr std::array unsuitable = {UnsuitableRow{0x794c7630, "overlayfs"},
                                   UnsuitableRow{0x6969, "nfs"}, UnsuitableRow{0xFF534D42, "cifs"},
                                   UnsuitableRow{0xFE534D42, "cifs"}};

template <class Rows>
auto find_row(const Rows& rows, std::uint64_t magic) {
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [magic](const auto& row) { return row.magic == magic; });
  return found == rows.end() ? nullptr : &*found;
}

std::string hexadecimal(std::uint64_t magic) {
  std::array<char, 20> text;
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(magic));
  return text.data();
}

std::string shown(parse::KernelVersion version) {
  return std::to_string(version.first) + "." + std::to_string(version.second);
}

Remedy boot_newer(parse::KernelVersion version) {
  return {"Boot Linux " + shown(version) + " or newer.", {}};
}

// The kernel refuses these arguments with EINVAL before it asks for any permission.
void ask_call(const Host& host, std::optional<parse::KernelVersion> version, Inquiry& inquiry) {
  const int answered = host.answer_to_bad_call(KernelCall::mount_setattr);
  const Error error = os_error(answered, "mount_setattr");
  inquiry.saw(failed("mount_setattr(-1)", error));
  if (version && *version < first_version) {
    if (answered == EINVAL)
      inquiry.unknown(ReasonCode::needs_trial,
                      "Linux " + shown(*version) + " has a mount_setattr that was added to it");
    else
      inquiry.no(ReasonCode::kernel_too_old, "mounts with an id map came with Linux 5.12",
                 boot_newer(first_version));
  } else if (answered == ENOSYS && !version) {
    inquiry.unknown(ReasonCode::call_missing,
                    "mount_setattr answers ENOSYS: an old kernel, or a filter that says so");
  } else if (answered != EINVAL) {
    inquiry.no(ReasonCode::call_filtered,
               "a seccomp filter answers mount_setattr with " + errno_name(error.code),
               Remedy{"Allow mount_setattr in the filter: SystemCallFilter= of the unit, or "
                      "--security-opt seccomp= of the container.",
                      {}});
  } else if (!version) {
    inquiry.unknown(ReasonCode::needs_trial, "the kernel's version cannot be read from uname(2)");
  }
}

// `magic` is 0 when it is not known.
std::uint64_t ask_storage(const Host& host, const std::string& path,
                          std::optional<parse::KernelVersion> version, Inquiry& inquiry) {
  const auto mount = host.file_system(path);
  const std::string source = "statfs(" + path + ")";
  if (!mount) {
    inquiry.saw(failed(source, mount.error()));
    if (errno_name(mount.error().code) == "ENOENT")
      inquiry.no(ReasonCode::storage_missing, path + " is not there",
                 Remedy{"Make the directory.", "mkdir -p " + path});
    else
      inquiry.unknown(ReasonCode::unreadable, path + " cannot be seen: " + describe(mount.error()));
    return 0;
  }
  if (const UnsuitableRow* row = find_row(unsuitable, mount->magic)) {
    inquiry.saw(observed(source, row->name));
    inquiry.no(ReasonCode::storage_unsuitable,
               path + " is on " + row->name + ", which cannot be mounted with an id map",
               Remedy{"Mount a file system such as ext4, xfs or btrfs at " + path + ".", {}});
  } else if (const FileSystemRow* known = find_row(file_systems, mount->magic)) {
    inquiry.saw(observed(source, known->name));
    if (version && *version >= first_version && *version < known->since)
      inquiry.no(ReasonCode::kernel_too_old,
                 path + " is on " + known->name + ", which takes an id map since Linux " +
                     shown(known->since),
                 boot_newer(known->since));
  } else {
    inquiry.saw(observed(source, hexadecimal(mount->magic)));
    inquiry.unknown(ReasonCode::needs_trial, "whether the file system of " + path + ", type " +
                                                 hexadecimal(mount->magic) +
                                                 ", takes an id map, only a trial tells");
  }
  return mount->magic;
}

}  // namespace

// The kernel asks for CAP_SYS_ADMIN in the user namespace that the file system was mounted in:
// the initial one, except for a tmpfs of one's own.
Finding idmapped_mounts(Subject& subject) {
  const Host& host = subject.host();
  const std::string path = subject.storage().empty() ? default_storage : subject.storage();
  const std::string release = host.kernel_release();
  const auto version = parse::kernel_version(release);
  Inquiry inquiry;
  inquiry.saw(observed("uname()", release));
  ask_call(host, version, inquiry);
  const std::uint64_t magic = ask_storage(host, path, version, inquiry);
  const Privilege admin = privilege_of(subject, CAP_SYS_ADMIN, "CAP_SYS_ADMIN", inquiry);
  if (magic == tmpfs_magic && admin.effective == Status::yes && admin.over_machine == Status::no)
    inquiry.unknown(ReasonCode::needs_trial, "only a trial tells whether the tmpfs at " + path +
                                                 " was mounted in this user namespace");
  else
    require(admin, inquiry);
  return inquiry.conclude("the kernel, the file system of " + path +
                          " and CAP_SYS_ADMIN allow mounts with an id map");
}

}  // namespace surveyd::probes
