#pragma once

#include <string>
#include <string_view>

#include <surveyd/error.hpp>

namespace surveyd {

/// The name of a container's cgroup: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`, not starting with
/// `cgroup.` or `<controller>.`, which are the kernel's own file names in the same directory.
/// Only a value of this type can name a directory to remove, so no path can be smuggled in.
class ContainerId {
 public:
  /// Fails with `Fault::invalid_container_id`, whose detail gives the grammar.
  [[nodiscard]] static Result<ContainerId> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  explicit ContainerId(std::string_view text) : text_(text) {}
  std::string text_;
};

/// Whether `name` can name one cgroup below the tree's root (a setting): the same grammar.
[[nodiscard]] bool is_cgroup_name(std::string_view name);

}  // namespace surveyd
