#pragma once

#include <cerrno>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/host.hpp>

namespace surveyd::test {

/// The calls of Host, named after the system call that each is about.
enum class Op {
  read,
  list,
  stat,
  statfs,
  open,  ///< try_open
  access,
  getxattr,
  find,  ///< find_directory
  mkdir,
  rmdir,
  write,
  setxattr,
  enter,
  watch,
  kill,
};

/// A machine with a cgroup v2 tree that behaves like the kernel's (kernel/cgroup/cgroup.c), in
/// memory. As made, the real root of the tree is mounted read-write at /sys/fs/cgroup, the
/// namespaces are the initial ones, the user is root, and this process (getpid(2)) lives in the
/// root. Everything else is put there by the calls below, which no rule of the kernel stops.
///
/// Cgroups are named by their path in the tree, "/" being its real root; every other path is
/// absolute on the machine. Not thread-safe.
class FakeCgroupHost final : public Host {
 public:
  explicit FakeCgroupHost(std::vector<std::string> controllers = {"cpuset", "cpu", "io", "memory",
                                                                  "pids"});
  ~FakeCgroupHost() override;

  /// With the ancestors that are missing.
  void make_cgroup(const std::string& cgroup);
  /// Removes it with all below; its processes die.
  void destroy_cgroup(const std::string& cgroup);
  /// Sets `cgroup.subtree_control` here, whatever is offered.
  void delegate(const std::string& cgroup, const std::vector<std::string>& controllers);
  void make_threaded(const std::string& cgroup);
  /// As "0" in `cgroup.pressure` does.
  void turn_pressure_off(const std::string& cgroup);
  [[nodiscard]] bool exists(const std::string& cgroup) const;
  /// `cgroup.type` as the kernel would show it; the real root is "domain".
  [[nodiscard]] std::string type_of(const std::string& cgroup) const;
  [[nodiscard]] std::vector<std::string> delegated(const std::string& cgroup) const;
  void mark(const std::string& cgroup, const std::string& attribute, const std::string& value);
  /// Empty when there is none.
  [[nodiscard]] std::string mark_of(const std::string& cgroup, const std::string& attribute) const;
  /// The paths of all cgroups but the root, sorted.
  [[nodiscard]] std::vector<std::string> cgroups() const;

  int start_process(const std::string& cgroup, const std::string& command = "bystander");
  /// One of another pid namespace: it is listed as 0.
  void start_foreign_process(const std::string& cgroup);
  void end_process(int pid);
  /// State D: it survives every signal until `end_process`.
  void make_unkillable(int pid);
  /// It begins to exit, and is gone when so much time has passed: until then it is listed, and a
  /// move of it succeeds and does nothing.
  void begin_exit(int pid, std::chrono::milliseconds duration);
  /// A thread of the kernel's own, which never moves.
  void make_kernel_thread(int pid);
  /// The next `times` attempts to move it fail.
  void refuse_move(int pid, int error_number, int times = 1);
  [[nodiscard]] std::string cgroup_of(int pid) const;
  [[nodiscard]] bool is_frozen(const std::string& cgroup) const;
  /// Linux before 5.14, which has no cgroup.kill.
  void remove_kill_file();
  /// Advances the clock, as `pause` does.
  void pass(std::chrono::milliseconds time);
  /// Something ran in the cgroup: its processor time grows.
  void use_processor(const std::string& cgroup);
  void live_in(const std::string& cgroup);
  [[nodiscard]] std::string own_cgroup() const;

  /// Our cgroup namespace's root. Does not change what is mounted.
  void set_namespace_root(const std::string& cgroup);
  /// The cgroup that is seen at the mount point.
  void set_mounted(const std::string& cgroup);
  void mount_read_only(bool read_only);
  /// v1 controllers below a tmpfs at /sys/fs/cgroup, and the v2 tree at /sys/fs/cgroup/unified.
  void make_hybrid();
  void make_v1();
  /// What `/proc/self/cgroup` says after "0::", instead of the truth.
  void claim_own_path(const std::string& path);
  /// The text of `/proc/self/mountinfo`, instead of the truth.
  void claim_mountinfo(const std::string& text);

  /// Enabling this controller anywhere fails, alone or in company: EINVAL is `cpu` while there are
  /// real-time tasks. 0 lets it be enabled again.
  void refuse(const std::string& controller, int error_number);
  void withdraw_from_root(const std::string& controller);

  void add_file(const std::string& path, const std::string& text);
  void add_directory(const std::string& path);
  void add_link(const std::string& path, const std::string& target);
  void add_tmpfs(const std::string& path);

  static constexpr int always = std::numeric_limits<int>::max();
  /// The next `times` calls of this kind about this path fail, before anything was done.
  void fail(Op op, const std::string& path, int error_number, int times = 1);
  /// Something that happens right before the next such call, once.
  void before(Op op, const std::string& path, std::function<void()> action);
  /// The calls of this kind that were made, failed ones among them, in order: the path, and for a
  /// write also ": " and the text.
  [[nodiscard]] std::vector<std::string> calls(Op op) const;
  [[nodiscard]] int pauses() const;

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
  unsigned effective_uid() const override { return 0; }
  unsigned real_uid() const override { return 0; }
  Result<bool> has_capability(int, CapabilitySet) const override { return true; }
  Result<bool> no_new_privileges() const override { return false; }
  Result<int> seccomp_mode() const override { return 0; }
  int answer_to_bad_call(KernelCall) const override { return EINVAL; }
  Result<int> kvm_api_version(PathRef device) const override {
    return os_error(ENOENT, "open", device.c_str());
  }
  Result<void> try_inotify() const override { return {}; }
  Result<std::string> read_link(PathRef path) const override {
    return os_error(EINVAL, "readlink", path.c_str());
  }
  std::string kernel_release() const override { return "6.1.0-fake"; }
  std::optional<std::string> environment(const char*) const override { return std::nullopt; }
  void pause(std::chrono::milliseconds time) override;
  std::chrono::steady_clock::time_point now() const override;
  std::chrono::system_clock::time_point today() const override;

 private:
  struct Machine;
  struct Target;

  class EventsWatch;
  FakeCgroupHost(std::shared_ptr<Machine> machine, const Target& root);
  /// Keeps the record, lets others act, and gives the error that was asked for.
  [[nodiscard]] Result<void> begin(Op op, PathRef path, std::string_view text) const;
  [[nodiscard]] Result<Target> find(Op op, PathRef path, std::string_view text = {}) const;
  [[nodiscard]] Result<Target> find_parent(Op op, PathRef path, std::string& name) const;
  [[nodiscard]] Error failed(int error_number, const char* op, PathRef path) const;

  std::shared_ptr<Machine> machine_;
  std::string root_;              ///< of an entered host; empty: the whole machine
  std::uint64_t root_inode_ = 0;  ///< of that cgroup: one made later at the same path is another
};

/// How a process of a `World` sees the tree.
enum class View {
  machine,            ///< as the test itself does
  read_only,          ///< the mount at /sys/fs/cgroup is read-only
  private_namespace,  ///< its cgroup is the root of its cgroup namespace, and of what is mounted
  host_tree_in_private_namespace,  ///< the same, but the whole tree is mounted: its root is "/.."
};

/// A machine to hold one contract on: the fake, or the kernel itself (tests/contract/).
class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;

  /// Why no test can run here; empty when they can.
  [[nodiscard]] virtual std::string why_not() const { return {}; }
  [[nodiscard]] virtual Host& host() = 0;
  /// A name that nothing else has: all that a test makes is "/<name>" of the tree or below.
  [[nodiscard]] virtual const std::string& name() const = 0;
  /// A process in this cgroup ("<name>/…") which does nothing; its command is "bystander".
  [[nodiscard]] virtual int start_process(const std::string& cgroup) = 0;
  virtual void end_process(int pid) = 0;
  /// Returns once no live process is in the cgroup or below.
  virtual void wait_until_empty(const std::string& cgroup) = 0;
  /// What a process of its own says which lives in this cgroup.
  [[nodiscard]] virtual std::string run_in(const std::string& cgroup, View view,
                                           const std::function<std::string(Host&)>& operation) = 0;
  /// An ordinary directory with `file`, `inside/file`, the links `link` (to `file`), `out` (to
  /// `/`) and `up` (to `..`), and the mount point `mounted` of another file system.
  [[nodiscard]] virtual const std::string& playground() = 0;
};

struct WorldFactory {
  const char* name;
  std::unique_ptr<World> (*make)();

  friend void PrintTo(const WorldFactory& factory, std::ostream* out) { *out << factory.name; }
};

[[nodiscard]] std::unique_ptr<World> make_fake_world();
[[nodiscard]] std::unique_ptr<World> make_kernel_world();

/// Gives this process a mount namespace of its own with cgroup2 at /sys/fs/cgroup. To be called
/// before there is any thread; `make_kernel_world` says why it did not work.
void prepare_kernel_world();

}  // namespace surveyd::test
