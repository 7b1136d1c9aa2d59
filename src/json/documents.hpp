#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/survey.hpp>

namespace surveyd::json {

// Every document is indented, in a fixed order of members, and ends with a line feed, so that curl
// prints it well. Bytes that are not UTF-8 (a cgroup may be named so) become U+FFFD.

[[nodiscard]] std::string capabilities(const Survey& survey);

/// GET /changes: the last ones, newest first.
[[nodiscard]] std::string changes(const Survey& survey);

/// The shape of ZLayer's own endpoint.
[[nodiscard]] std::string daemon_capabilities(const Survey& survey);

[[nodiscard]] std::string ensured(const EnsureReport& report);
/// `removing`: the ids whose removal by force goes on in the background.
[[nodiscard]] std::string containers(const ContainerList& list,
                                     const std::set<std::string>& removing);
[[nodiscard]] std::string removal(const Removal& removal);

/// `{"status": …}` of the health routes.
[[nodiscard]] std::string health(std::string_view status);

/// RFC 9457, with what the kernel refused. Empty members are left out.
struct Problem {
  std::string type;
  std::string title;
  unsigned status = 500;
  std::string detail;
  std::string op;
  std::string path;
  std::string error_number;  ///< the name of the errno
  std::vector<Process> processes;
  std::vector<std::string> children;
  std::vector<Process> migrated;
};

[[nodiscard]] std::string problem(const Problem& problem);

/// A JSON string literal, quotes included.
[[nodiscard]] std::string string_literal(std::string_view text);

}  // namespace surveyd::json
