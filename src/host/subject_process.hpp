#pragma once

#include <map>
#include <optional>
#include <string>

#include <surveyd/error.hpp>
#include <surveyd/host.hpp>

#include "host/pinned_process.hpp"
#include "parse/credentials.hpp"

namespace surveyd {

/// What is known of a process in whose place questions are asked.
struct SubjectFacts {
  /// As it would read them itself: in terms of its own user namespace.
  parse::Credentials credentials;
  /// Files of its `/proc/<pid>` by their names there, as it would read them itself; or
  /// `Fault::subject_out_of_reach`.
  std::map<std::string, Result<std::string>, std::less<>> files;
  /// "ns/user" and so on.
  std::map<std::string, Result<FileInfo>, std::less<>> namespaces;
  /// PATH, as the program was started with it: what it set later is in its memory alone.
  Result<std::optional<std::string>> path{std::nullopt};

  /// Why its files, mounts and devices cannot be asked about at all; nothing when they can.
  std::optional<std::string> files_out_of_reach;
  /// Why a device that opens for us may not open for it.
  std::optional<std::string> opened_in_doubt;
  /// Why a device that is refused to us (EPERM) may open for it.
  std::optional<std::string> refused_in_doubt;
};

/// Takes the place of the process, for good: this process, which must be alone and have no threads,
/// enters its namespaces (but for those of pids and time) and its root directory and takes over its
/// ids, capability sets and `no_new_privs`, so that the kernel answers by its rights. What of that
/// is refused is no failure: the facts say what cannot be asked then. Nothing is executed. Fails
/// when the process is gone or even its `status` cannot be read.
[[nodiscard]] Result<SubjectFacts> take_the_place_of(const PinnedProcess& process);

/// Whether it is in another namespace by now than when its place was taken, as far as we may see.
[[nodiscard]] bool has_left_namespaces(const PinnedProcess& process, const SubjectFacts& facts);

[[nodiscard]] Error out_of_reach(std::string op, std::string path, std::string detail,
                                 std::error_code refusal = {});

}  // namespace surveyd
