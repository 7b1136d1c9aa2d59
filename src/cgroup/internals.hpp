#pragma once

#include <string>
#include <vector>

#include <surveyd/cgroup_tree.hpp>

namespace surveyd {

/// An extended attribute on the leaf that surveyd lives in: the name `init` alone proves nothing.
/// cgroup2 keeps user.* attributes since Linux 5.7; before that the leaf is known only until the
/// process ends.
inline constexpr const char* leaf_mark = "user.surveyd.leaf";
inline constexpr const char* marked = "1";
inline constexpr const char* unmarked = "";

/// The container parent in use, relative to the tree.
struct CgroupTree::Parent {
  Placement placement;
  std::string path;
  bool exists;
};

/// The cgroup that is ours to divide, relative to the tree ("" is the mount's root).
struct CgroupTree::Scope {
  std::string path;
  bool in_leaf;  ///< the daemon is in `<scope>/init` already
};

/// Removes what one call made, innermost first, unless the call succeeds.
class CgroupTree::Rollback {
 public:
  explicit Rollback(Host& tree) : tree_(tree) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() { undo(); }

  void made(std::string path) { paths_.push_back(std::move(path)); }
  /// What was made stays.
  [[nodiscard]] std::vector<std::string> keep() { return std::exchange(paths_, {}); }
  /// Removes it now; what could not be removed is returned.
  std::vector<std::string> undo() {
    std::vector<std::string> left;
    while (!paths_.empty()) {
      if (!tree_.remove_directory(paths_.back())) left.push_back(paths_.back());
      paths_.pop_back();
    }
    return left;
  }

 private:
  Host& tree_;
  std::vector<std::string> paths_;
};

namespace cgroup {

/// `<directory>/<name>`; the tree's root is "" or ".".
[[nodiscard]] inline std::string child(const std::string& directory, const std::string& name) {
  return directory.empty() || directory == "." ? name : directory + "/" + name;
}

/// The path for a call about the directory itself.
[[nodiscard]] inline std::string self(const std::string& directory) {
  return directory.empty() ? "." : directory;
}

[[nodiscard]] inline bool is(const Error& error, int error_number) {
  return error.code == std::error_code{error_number, std::generic_category()};
}

inline void add_detail(Error& error, const std::string& sentence) {
  error.detail += (error.detail.empty() ? "" : "; ") + sentence;
}

}  // namespace cgroup
}  // namespace surveyd
