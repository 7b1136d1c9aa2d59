#include <array>
#include <cerrno>

#include <unistd.h>

#include "parse/kernel.hpp"
#include "probes/answer.hpp"
#include "probes/overlayfs_claim.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

struct Unsuitable {
  std::uint64_t magic;
  const char* name;
};

// linux/magic.h. An upper layer needs d_type, whiteouts and extended attributes, and names that do
// not change behind its back (Documentation/filesystems/overlayfs.rst).
constexpr std::array<Unsuitable, 12> unsuitable = {{{0x6969, "nfs"},
                                                    {0x794c7630, "overlayfs"},
                                                    {0x65735546, "fuse"},
                                                    {0x4d44, "vfat"},
                                                    {0xf15f, "ecryptfs"},
                                                    {0x517b, "smb"},
                                                    {0xfe534d42, "smb2"},
                                                    {0xff534d42, "cifs"},
                                                    {0x01021997, "9p"},
                                                    {0x9fa0, "proc"},
                                                    {0x62656572, "sysfs"},
                                                    {0x63677270, "cgroup2"}}};

const char* unsuitable_name(std::uint64_t magic) {
  for (const Unsuitable& one : unsuitable)
    if (one.magic == magic) return one.name;
  return nullptr;
}

// An overlay in a user namespace keeps its notes in user.* attributes, which tmpfs has since 6.6.
bool is_tmpfs_without_user_attributes(Subject& subject, const FileSystem& file_system) {
  if (file_system.magic != tmpfs_magic || !is_in_user_namespace(subject)) return false;
  const auto version = parse::kernel_version(subject.host().kernel_release());
  return version && *version < parse::KernelVersion{6, 6};
}

const char* why_unsuitable(Subject& subject, const FileSystem& file_system) {
  if (is_tmpfs_without_user_attributes(subject, file_system))
    return "tmpfs before Linux 6.6, in a user namespace";
  return unsuitable_name(file_system.magic);
}

bool is_plain(const std::string& path) {
  return path.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
             "/._-") == std::string::npos;
}

Finding without_directory(Subject& subject, const Error& error) {
  const std::string& path = subject.storage();
  const bool missing = error.code == std::errc::no_such_file_or_directory;
  Finding finding =
      answer(meaning_of(error), missing ? ReasonCode::storage_missing : code_of(error),
             path + " cannot be used: " + describe(error));
  if (missing && !subject.surroundings().container && is_plain(path))
    finding.remedy = Remedy{"Make the directory.", "mkdir -p " + path};
  finding.evidence.push_back(failed("statfs(" + path + ")", error));
  return finding;
}

Finding on(Subject& subject) {
  const std::string& path = subject.storage();
  const auto file_system = subject.host().file_system(path);
  if (!file_system) return without_directory(subject, file_system.error());
  if (file_system->read_only) {
    Finding finding = no(ReasonCode::read_only, path + " is mounted read-only");
    finding.evidence.push_back(observed("statfs(" + path + ")", "read-only"));
    return finding;
  }
  if (const char* name = why_unsuitable(subject, *file_system)) {
    Finding finding =
        with_remedy(no(ReasonCode::storage_unsuitable,
                       path + " is on a file system that cannot hold an upper layer: " + name),
                    "Choose a storage path on ext4, xfs or btrfs (--storage).");
    finding.evidence.push_back(observed("statfs(" + path + ")", name));
    return finding;
  }
  // Also what is no directory has no X for a search.
  const auto granted = subject.host().access(path, W_OK | X_OK, As::effective_user);
  if (!granted) {
    const Error& error = granted.error();
    const auto info = subject.host().stat(path);
    const bool is_file = info && info->kind == FileKind::regular;
    Finding finding = is_file ? no(ReasonCode::storage_missing, path + " is not a directory")
                              : answer(meaning_of(error), code_of(error),
                                       path + " is not for this user to write: " + describe(error));
    finding.evidence.push_back(failed("faccessat(" + path + ", W_OK | X_OK)", error));
    return finding;
  }
  Finding finding = overlayfs_rootfs_available(subject);
  finding.evidence.push_back(observed("faccessat(" + path + ", W_OK | X_OK)", "0"));
  return finding;
}

}  // namespace

// The value is the path.
Finding overlayfs_on(Subject& subject) {
  Finding finding = on(subject);
  finding.value = subject.storage();
  return finding;
}

}  // namespace surveyd::probes
