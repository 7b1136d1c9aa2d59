#pragma once

#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <surveyd/cgroup_tree.hpp>

namespace surveyd {

/// An extended attribute on the leaf that surveyd lives in: the name `init` alone proves nothing.
/// cgroup2 keeps user.* attributes since Linux 5.7; before that the leaf is known only until the
/// process ends.
inline constexpr const char* leaf_mark = "user.surveyd.leaf";
inline constexpr const char* marked = "1";
inline constexpr const char* unmarked = "";

// All paths are relative to the tree; "" is the root of what is mounted.

/// The cgroup that is ours to divide.
struct CgroupTree::Scope {
  std::string path;
  bool in_leaf;  ///< the daemon is in `<scope>/init` already
};

/// Where a placement puts the container parent.
struct CgroupTree::Site {
  Placement placement;
  std::string base;                ///< the outermost level that delegates
  std::vector<std::string> below;  ///< the directories in it, one in the other
  bool is_ours = false;            ///< the daemon lives in the base, or in its leaf
  bool in_leaf = false;

  [[nodiscard]] std::vector<std::string> levels() const;
};

/// The container parent in use.
struct CgroupTree::Parent {
  Placement placement;
  std::string base;
  std::string path;
  bool exists;
};

/// Keeps account of what one call changed, and removes the directories again, innermost first,
/// unless it succeeds.
class CgroupTree::Rollback {
 public:
  explicit Rollback(Host& tree) : tree_(tree) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() { (void)undo(); }

  /// Again, when an earlier attempt made it and somebody removed it.
  void made(const std::string& path) {
    std::erase(paths_, path);
    paths_.push_back(path);
  }
  void enabled(const std::string& level, const std::string& controllers) {
    std::string& names = enabled_[level];
    names += (names.empty() ? "" : ", ") + controllers;
  }
  void disabled(const std::string& level) { enabled_.erase(level); }
  /// Controllers by level; after `undo` only of levels that are still there.
  [[nodiscard]] const std::map<std::string, std::string>& still_enabled() const { return enabled_; }
  /// What was made stays.
  [[nodiscard]] std::vector<std::string> keep() { return std::exchange(paths_, {}); }
  /// Removes it now; what could not be removed is returned.
  [[nodiscard]] std::vector<std::string> undo() {
    std::vector<std::string> left;
    while (!paths_.empty()) {
      const std::string path = std::move(paths_.back());
      paths_.pop_back();
      const auto removed = tree_.remove_directory(path);
      const bool gone = removed || removed.error().code == std::errc::no_such_file_or_directory;
      if (gone)
        enabled_.erase(path);
      else
        left.push_back(path);
    }
    return left;
  }

 private:
  Host& tree_;
  std::vector<std::string> paths_;
  std::map<std::string, std::string> enabled_;
};

/// A write that was made.
struct CgroupTree::Written {
  bool taken = false;
  Error refusal{};  ///< why it was not
};

/// What became of the processes of a scope.
struct CgroupTree::Evacuation {
  std::chrono::steady_clock::time_point until;
  std::set<int> tried;
  std::vector<Process> moved;       ///< the daemon among them
  std::vector<std::string> stayed;  ///< one sentence for each that could not be moved

  void stay(const Process& process, const Error& error);
};

/// A container that is removed by force, pinned: a later cgroup of the same name is another one.
struct CgroupTree::Doomed {
  std::string path;
  std::uint64_t inode = 0;
  std::shared_ptr<Host> inside;
  std::shared_ptr<Watch> events;

  /// How far the removal of what is below it has come: directories still to be looked at, the next
  /// one last, relative to a directory on the way down.
  struct Descent {
    std::shared_ptr<Host> from;
    std::vector<std::string> pending;
  };
  std::vector<Descent> descents;
  bool cut_short = false;
};

/// What earlier looks at a container showed.
struct CgroupTree::Observation {
  std::chrono::system_clock::time_point created_at;
  std::optional<std::chrono::steady_clock::time_point> empty_since;
  std::chrono::system_clock::time_point empty_since_shown;  ///< the same, as the time of day
  std::string usage;  ///< `cpu.stat` then: it grows whenever something runs
};

namespace cgroup {

/// `<directory>/<name>`; the tree's root is "" or ".".
[[nodiscard]] inline std::string child(const std::string& directory, const std::string& name) {
  return directory.empty() || directory == "." ? name : directory + "/" + name;
}

/// The cgroup above; of the outermost directories "".
[[nodiscard]] inline std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

/// The path for a call about the directory itself.
[[nodiscard]] inline std::string self(const std::string& directory) {
  return directory.empty() ? "." : directory;
}

[[nodiscard]] inline bool is(const Error& error, int error_number) {
  return error.code == std::error_code{error_number, std::generic_category()};
}

/// The cgroup went away while it was worked on: its directory is gone, or it is dying.
[[nodiscard]] inline bool is_gone(const Error& error) {
  return is(error, ENOENT) || is(error, ENODEV);
}

/// The text of `cgroup.events`: a live process is somewhere below.
[[nodiscard]] inline bool is_populated(const std::string& events) {
  return events.find("populated 1") != std::string::npos;
}

inline void add_detail(Error& error, const std::string& sentence) {
  error.detail += (error.detail.empty() ? "" : "; ") + sentence;
}

}  // namespace cgroup
}  // namespace surveyd
