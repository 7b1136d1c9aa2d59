#pragma once

#include <surveyd/host.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// The machine this process runs on, or one directory of it.
class RealHost final : public Host {
 public:
  RealHost() = default;

  Result<std::string> read(PathRef path) const override;
  Result<std::vector<DirectoryEntry>> list(PathRef path) const override;
  Result<FileInfo> stat(PathRef path) const override;
  Result<FileSystem> file_system(PathRef path) const override;
  Result<FileInfo> try_open(PathRef path) const override;
  Result<void> access(PathRef path, int mode, As as) const override;
  Result<std::string> attribute(PathRef path, const char* name) const override;
  Result<std::unique_ptr<Watch>> watch(PathRef path) const override;
  Result<std::string> find_directory(std::uint64_t inode) const override;
  Result<void> make_directory(PathRef path) override;
  Result<void> remove_directory(PathRef path) override;
  Result<void> write(PathRef path, std::string_view text) override;
  Result<void> set_attribute(PathRef path, const char* name, std::string_view value) override;
  Result<void> kill(int pid, const std::function<bool()>& confirm) override;
  Result<std::unique_ptr<Host>> enter(PathRef directory) const override;
  unsigned effective_uid() const override;
  Result<std::string> read_link(PathRef path) const override;
  unsigned real_uid() const override;
  Result<bool> has_capability(int capability, CapabilitySet set) const override;
  Result<bool> no_new_privileges() const override;
  Result<int> seccomp_mode() const override;
  int answer_to_bad_call(KernelCall call) const override;
  Result<int> kvm_api_version(PathRef device) const override;
  Result<void> try_inotify() const override;
  std::string kernel_release() const override;
  std::optional<std::string> environment(const char* name) const override;
  void pause(std::chrono::milliseconds time) override;
  std::chrono::steady_clock::time_point now() const override;
  std::chrono::system_clock::time_point today() const override;

 private:
  RealHost(UniqueFd root, std::string root_path)
      : root_(std::move(root)), root_path_(std::move(root_path)) {}

  Result<UniqueFd> open(PathRef path, int flags) const;
  /// The current errno, with the path as an administrator finds it.
  Error last_error(const char* op, PathRef path) const;
  std::string shown(PathRef path) const;

  /// The directory that an entry is made in or removed from, and the entry's own name.
  struct Entry {
    UniqueFd directory;
    std::string name;
  };
  Result<Entry> locate_entry(PathRef path) const;

  UniqueFd root_;  ///< none: the whole machine, by absolute paths
  std::string root_path_;
};

}  // namespace surveyd
