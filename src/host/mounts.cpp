#include "host/mounts.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/unique_fd.hpp"
#include "parse/words.hpp"

namespace surveyd {

namespace {

// A colon parts lower directories, a comma options.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ':' || c == ',' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

}  // namespace

std::string Overlay::directories() const {
  std::string options;
  for (const std::string& lower : lowers)
    options += (options.empty() ? "lowerdir=" : ":") + escaped(lower);
  return options + ",upperdir=" + escaped(upper) + ",workdir=" + escaped(work);
}

Result<void> mount(const Overlay& overlay) {
  // An index is for overlays that are shared by hard links and NFS; no container runtime has one.
  const std::string options =
      overlay.directories() + ",index=off" + (overlay.user_attributes ? ",userxattr" : "");
  const std::string op =
      std::string{"mount(overlay"} + (overlay.user_attributes ? ", userxattr)" : ")");
  if (::mount("overlay", overlay.target.c_str(), "overlay", 0, options.c_str()) != 0)
    return os_error(errno, op, overlay.target);
  return {};
}

Result<void> mount_tmpfs(PathRef target) {
  if (::mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=4m") != 0)
    return os_error(errno, "mount(tmpfs)", target.c_str());
  return {};
}

Result<void> unmount(PathRef target) {
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
    return os_error(errno, "umount2", target.c_str());
  return {};
}

Result<bool> is_registered(const Host& host, const std::string& file_system) {
  const auto text = host.read("/proc/filesystems");
  if (text) {
    const auto names = parse::words(*text);
    return std::find(names.begin(), names.end(), file_system) != names.end();
  }
#ifdef SYS_sysfs
  if (::syscall(SYS_sysfs, 1, file_system.c_str()) >= 0) return true;
  if (errno == EINVAL) return false;
#endif
  return text.error();
}

Result<FileInfo> stat_through_idmap(PathRef directory, int user_namespace) {
  const UniqueFd copy{
      ::open_tree(AT_FDCWD, directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)};
  if (!copy) return os_error(errno, "open_tree(OPEN_TREE_CLONE)", directory.c_str());
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<decltype(attributes.userns_fd)>(user_namespace);
  if (::mount_setattr(copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return os_error(errno, "mount_setattr(MOUNT_ATTR_IDMAP)", directory.c_str());
  struct stat status {};
  if (::fstat(copy.get(), &status) != 0) return os_error(errno, "fstat", directory.c_str());
  FileInfo info;
  info.kind = FileKind::directory;
  info.owner = status.st_uid;
  info.group = status.st_gid;
  return info;
}

Result<void> make_file(PathRef path, const std::string& text) {
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  if (!file) return os_error(errno, "open(O_CREAT)", path.c_str());
  if (::write(file.get(), text.data(), text.size()) < 0)
    return os_error(errno, "write", path.c_str());
  return {};
}

Result<void> reopen_to_owner(PathRef directory) {
  if (::chmod(directory.c_str(), 0700) != 0) return os_error(errno, "chmod", directory.c_str());
  return {};
}

Result<void> remove_file(PathRef path) {
  if (::unlink(path.c_str()) != 0) return os_error(errno, "unlink", path.c_str());
  return {};
}

}  // namespace surveyd
