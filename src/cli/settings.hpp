#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/mode.hpp>

#include "http/access_rules.hpp"
#include "http/limits.hpp"
#include "http/tls_files.hpp"

namespace surveyd::cli {

enum class Command { serve, survey, explain, check };

/// What the command line, the environment and the settings file said, in this order of precedence.
struct Settings {
  Command command = Command::serve;

  std::vector<std::string> listen;         ///< loopback addresses; empty: the default ones
  std::vector<std::string> listen_remote;  ///< addresses for reads only
  std::vector<std::string> allow_host;     ///< there; empty: any
  http::TlsFiles tls;                      ///< there
  std::optional<std::string> unix_socket;  ///< empty text: none; not set: the default one
  http::AccessRules access;
  std::string token_file;  ///< empty: none
  http::Limits limits;
  std::chrono::seconds interval{30};
  std::string cgroup_name = "zlayer";
  std::string cgroup_base;  ///< absolute cgroup path; empty: the root
  bool repair = false;
  std::vector<std::string> storage;  ///< absolute paths; never empty once parsed
  bool allow_module_loading = false;
  int subject_pid = 0;       ///< survey this process; 0: surveyd itself, or the unit
  std::string subject_unit;  ///< survey the main process of this service; empty: none
  std::string log_level = "info";
  std::string log_format = "text";

  int pid = 0;                                 ///< survey, explain: of this process; 0: of itself
  bool json = false;                           ///< survey, explain: a document
  bool all = false;                            ///< survey: explain what is yes, too
  bool verify = false;                         ///< survey, explain: try what can be tried
  bool verified = false;                       ///< check: what is required has to be verified
  std::string finding;                         ///< explain
  std::string mode;                            ///< check; empty: not asked
  std::string assessed_mode;                   ///< check; empty: not asked
  std::vector<std::string> required;           ///< check: findings that have to be yes
  std::vector<std::string> unknown_variables;  ///< SURVEYD_… that are no settings

  [[nodiscard]] bool has_subject() const { return subject_pid != 0 || !subject_unit.empty(); }
};

[[nodiscard]] inline ContainerPlan container_plan(const Settings& settings) {
  return {.name = settings.cgroup_name, .base = settings.cgroup_base};
}

/// In place of an address or a path: serve on none.
inline constexpr const char* no_listener = "none";
inline constexpr const char* default_unix_socket = "/run/surveyd/surveyd.sock";
inline constexpr const char* default_listen[] = {"127.0.0.1:9847", "[::1]:9847"};

/// The settings, or the exit status after help, version or one line about what is wrong (2).
[[nodiscard]] std::variant<Settings, int> parse_settings(int argc, const char* const* argv);

}  // namespace surveyd::cli
