#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

namespace surveyd::cgroup {

/// What the names of scratch cgroups begin with. Whatever is named so is surveyd's own, for a
/// moment: no list of containers shows it, and who makes the next one removes it if it is empty and
/// its maker has ended.
inline constexpr std::string_view scratch_prefix = "surveyd-verify-";

[[nodiscard]] inline bool is_scratch(std::string_view name) {
  return name.starts_with(scratch_prefix);
}

/// Removes the empty scratch cgroups that were left in a cgroup by makers that were killed. `place`
/// is the cgroup's directory on the machine.
void sweep_scratch(const Host& host, const std::string& place);

/// A cgroup to try something in. What lives in it is killed and it is removed when this ends.
class ScratchCgroup {
 public:
  /// Sweeps the place, then makes one in it. Fails with `Fault::no_usable_cgroup2` when the place
  /// is no directory of a cgroup2 file system, else with the errno of mkdir(2): EAGAIN for
  /// `cgroup.max.depth` or `cgroup.max.descendants` of an ancestor, ENOSPC when there are no ids.
  [[nodiscard]] static Result<ScratchCgroup> make(const Host& host, const std::string& place);

  ScratchCgroup(ScratchCgroup&&) noexcept = default;
  ScratchCgroup& operator=(ScratchCgroup&&) = delete;
  ~ScratchCgroup();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Result<std::string> read(const std::string& file) const;
  [[nodiscard]] Result<void> write(const std::string& file, std::string_view text);
  /// `cgroup.controllers`: what the place delegates.
  [[nodiscard]] Result<std::vector<std::string>> controllers() const;
  /// For children that it would have; `Fault::not_read_back` when the kernel takes it and does not
  /// show it.
  [[nodiscard]] Result<void> enable(const std::string& controller);
  /// Moves a process into it; `Fault::not_read_back` when it is not there then.
  [[nodiscard]] Result<void> take_in(int pid);
  /// Ends what lives in it, and waits until nothing does; `Fault::timed_out` after a second.
  [[nodiscard]] Result<void> kill();
  [[nodiscard]] Result<void> remove();

 private:
  ScratchCgroup(std::unique_ptr<Host> place, std::unique_ptr<Host> inside, std::string name)
      : place_(std::move(place)), inside_(std::move(inside)), name_(std::move(name)) {}

  [[nodiscard]] bool lists(int pid) const;
  [[nodiscard]] Result<void> kill_members();

  std::unique_ptr<Host> place_;
  std::unique_ptr<Host> inside_;
  std::string name_;          ///< empty: there is nothing to remove
  std::vector<int> members_;  ///< whom it took in
};

}  // namespace surveyd::cgroup
