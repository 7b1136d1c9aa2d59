#pragma once

#include <string>
#include <vector>

#include <surveyd/host.hpp>

#include "host/real_host.hpp"
#include "host/subject_process.hpp"

namespace surveyd {

/// The machine as another process sees it, for a process that has taken its place: files, mounts
/// and devices are asked of the kernel, `/proc/self` is what was read of the subject. Nothing can
/// be changed through it.
class SubjectHost final : public Host {
 public:
  /// What was answered by other rules than the subject's. `process` outlives the host.
  struct Doubt {
    bool of_yes = false;
    bool of_no = false;
    std::string why;
  };

  SubjectHost(const PinnedProcess& process, SubjectFacts facts)
      : process_(process), facts_(std::move(facts)) {}

  /// Since the last time.
  [[nodiscard]] std::vector<Doubt> take_doubts() const;
  [[nodiscard]] const SubjectFacts& facts() const { return facts_; }

  Result<std::string> read(PathRef path) const override;
  Result<std::vector<DirectoryEntry>> list(PathRef path) const override;
  Result<FileInfo> stat(PathRef path) const override;
  Result<FileSystem> file_system(PathRef path) const override;
  Result<FileInfo> try_open(PathRef path) const override;
  Result<void> access(PathRef path, int mode, As as) const override;
  Result<std::string> read_link(PathRef path) const override;
  Result<std::string> attribute(PathRef path, const char* name) const override;
  Result<std::unique_ptr<Watch>> watch(PathRef path) const override;
  Result<std::string> find_directory(std::uint64_t inode) const override;
  Result<void> make_directory(PathRef path) override;
  Result<void> remove_directory(PathRef path) override;
  Result<void> write(PathRef path, std::string_view text) override;
  Result<void> set_attribute(PathRef path, const char* name, std::string_view value) override;
  Result<void> kill(int pid, const std::function<bool()>& confirm) override;
  Result<std::unique_ptr<Host>> enter(PathRef directory) const override;
  unsigned effective_uid() const override { return facts_.credentials.uids[1]; }
  unsigned real_uid() const override { return facts_.credentials.uids[0]; }
  Result<bool> has_capability(int capability, CapabilitySet set) const override;
  Result<bool> no_new_privileges() const override;
  Result<int> seccomp_mode() const override;
  int answer_to_bad_call(KernelCall call) const override;
  Result<int> kvm_api_version(PathRef device) const override;
  Result<void> try_inotify() const override;
  std::string kernel_release() const override { return real_.kernel_release(); }
  std::optional<std::string> environment(const char* name) const override;
  void pause(std::chrono::milliseconds time) override { real_.pause(time); }
  std::chrono::steady_clock::time_point now() const override { return real_.now(); }
  std::chrono::system_clock::time_point today() const override { return real_.today(); }

 private:
  /// Why this path cannot be asked about, if so.
  [[nodiscard]] std::optional<Error> refuse(const char* op, PathRef path) const;
  Result<std::string> read_of_process(const std::string& name) const;
  void doubt_device(const std::error_code& refusal) const;

  const PinnedProcess& process_;
  SubjectFacts facts_;
  RealHost real_;
  mutable std::vector<Doubt> doubts_;
};

}  // namespace surveyd
