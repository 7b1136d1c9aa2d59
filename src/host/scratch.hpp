#pragma once

#include <string>

#include <surveyd/error.hpp>

#include "host/unique_fd.hpp"

namespace surveyd {

/// A new directory, `.surveyd-verify-…`, for one purpose: removed with all that is in it together
/// with the object. As long as the object or a fork of its process lives, it is locked, so that
/// others can tell it from one whose owner was killed.
class ScratchDirectory {
 public:
  /// Below an existing directory, mode 0700.
  [[nodiscard]] static Result<ScratchDirectory> make(const std::string& parent);

  ScratchDirectory(ScratchDirectory&& other) noexcept = default;
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ScratchDirectory(UniqueFd parent, UniqueFd directory, std::string name, std::string path)
      : parent_(std::move(parent)),
        directory_(std::move(directory)),
        name_(std::move(name)),
        path_(std::move(path)) {}

  UniqueFd parent_;
  UniqueFd directory_;  ///< holds the lock
  std::string name_;
  std::string path_;
};

/// Removes what owners of scratch directories that were killed have left below `parent`: their own
/// user's only. Whether that comes off is nobody's concern.
void remove_abandoned_scratch(const std::string& parent);

}  // namespace surveyd
