#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <surveyd/host.hpp>

namespace surveyd::test {

/// A node of a fixture tree, with the owner and mode that permissions are computed from: root, as
/// whom tests may run, ignores mode bits, so they cannot be faked with chmod.
struct Node {
  FileInfo info;
  unsigned mode = 0644;
  unsigned owner = 0;
  std::string content;
};

/// Whose rights the fixture grants.
struct Identity {
  unsigned effective_uid = 0;
  unsigned real_uid = 0;
  std::optional<std::uint64_t> effective_capabilities = ~std::uint64_t{0};
  std::uint64_t permitted_capabilities = ~std::uint64_t{0};
  std::uint64_t bounding_capabilities = ~std::uint64_t{0};
  bool no_new_privileges = false;
  int seccomp_mode = 0;  ///< below 0: the call fails with that errno
  bool initial_user_namespace = true;
};

/// A machine made of text: nodes by absolute path, mounts by prefix, errnos injected by path.
class FixtureHost final : public Host {
 public:
  Identity identity;
  std::map<std::string, Node> nodes;
  std::map<std::string, FileSystem> mounts;  ///< by mount point; "/" when nothing longer fits
  std::map<std::string, int> errors;         ///< every call about this path fails so
  std::map<std::string, std::string> variables;
  std::string release = "6.1.0-test";
  std::map<KernelCall, int> call_answers;  ///< where not what a kernel answers that has the call
  int kvm_version = 12;
  int inotify_error = 0;
  std::map<std::pair<std::string, std::string>, std::string> attributes;  ///< by path and name

  void add_file(const std::string& path, std::string content, unsigned mode = 0644,
                unsigned owner = 0);
  void add_directory(const std::string& path, unsigned mode = 0755, unsigned owner = 0);
  void add_device(const std::string& path, unsigned major, unsigned minor, unsigned mode,
                  unsigned owner = 0);

  Result<std::string> read(PathRef path) const override;
  Result<std::vector<DirectoryEntry>> list(PathRef path) const override;
  Result<FileInfo> stat(PathRef path) const override;
  Result<FileSystem> file_system(PathRef path) const override;
  Result<FileInfo> try_open(PathRef path) const override;
  Result<void> access(PathRef path, int mode, As as) const override;
  Result<std::string> attribute(PathRef path, const char* name) const override;
  Result<std::unique_ptr<Watch>> watch(PathRef path) const override;
  Result<void> kill(int pid, const std::function<bool()>& confirm) override;
  Result<std::string> find_directory(std::uint64_t inode) const override;
  Result<void> make_directory(PathRef path) override;
  Result<void> remove_directory(PathRef path) override;
  Result<void> write(PathRef path, std::string_view text) override;
  Result<void> set_attribute(PathRef path, const char* name, std::string_view value) override;
  Result<std::unique_ptr<Host>> enter(PathRef directory) const override;
  unsigned effective_uid() const override { return identity.effective_uid; }
  unsigned real_uid() const override { return identity.real_uid; }
  Result<bool> has_capability(int capability, CapabilitySet set) const override;
  Result<bool> no_new_privileges() const override { return identity.no_new_privileges; }
  Result<int> seccomp_mode() const override;
  int answer_to_bad_call(KernelCall call) const override;
  Result<int> kvm_api_version(PathRef device) const override;
  Result<void> try_inotify() const override;
  Result<std::string> read_link(PathRef path) const override;
  std::string kernel_release() const override { return release; }
  std::optional<std::string> environment(const char* name) const override;
  void pause(std::chrono::milliseconds) override {}
  std::chrono::steady_clock::time_point now() const override { return {}; }
  std::chrono::system_clock::time_point today() const override { return {}; }

 private:
  Result<const Node*> find(PathRef path, const char* op) const;
};

}  // namespace surveyd::test
