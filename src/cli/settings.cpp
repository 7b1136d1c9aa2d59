#include "cli/settings.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include <CLI/CLI.hpp>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <surveyd/container_id.hpp>
#include <surveyd/probe.hpp>

#include "cli/build_info.hpp"
#include "host/listening.hpp"
#include "host/socket_owner.hpp"
#include "host/systemd_unit.hpp"

namespace surveyd::cli {
namespace {

constexpr int wrong_usage = 2;

std::string variable_of(const std::string& option) {
  std::string name = "SURVEYD_" + option;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(c));
  });
  return name;
}

std::string check_address(const std::string& text) {
  const auto address = parse_tcp_address(text);
  return address ? std::string{} : "\"" + text + "\": " + address.error().detail;
}

std::string check_loopback(const std::string& text) {
  if (text == no_listener) return {};
  if (std::string wrong = check_address(text); !wrong.empty()) return wrong;
  if (parse_tcp_address(text)->is_loopback()) return {};
  return text + " is not a loopback address; --listen-remote takes others, for reads only";
}

std::string check_cgroup_name(const std::string& name) {
  if (is_cgroup_name(name)) return {};
  return "\"" + name + "\" cannot be a cgroup's name: letters, digits, '_', '.' and '-' only";
}

// Names alone: no "..", no empty part, no file of the kernel's.
std::string check_cgroup_base(const std::string& path) {
  bool good = path.starts_with('/') && path.size() > 1;
  for (std::string_view rest{path}; good && !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find('/'));
    // systemd escapes what is special in a unit's name, and a template has an @.
    good =
        !name.empty() && name != "." && name != ".." && !name.starts_with("cgroup.") &&
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c > ' ' && c < 127; });
    rest.remove_prefix(name.size());
  }
  return good ? std::string{} : "\"" + path + "\" is not a cgroup's path below the root";
}

std::string check_finding(const std::string& id, const std::vector<Probe>& probes) {
  std::string known;
  for (const Probe& probe : probes) {
    if (id == probe.id) return {};
    known += (known.empty() ? "" : ", ") + probe.id;
  }
  return "\"" + id + "\" is not a finding; there are " + known;
}

std::string check_storage(const std::string& path) {
  return path.starts_with('/') ? std::string{} : "\"" + path + "\" is not an absolute path";
}

std::string check_unit(const std::string& name) {
  return is_service_name(name) ? std::string{} : "\"" + name + "\" is not the name of a service";
}

// As a number, or as the name of an account.
template <class Account>
CLI::Validator id_validator(const Account* (*find)(const char*), unsigned (*id)(const Account&),
                            const char* what) {
  return CLI::Validator{[find, id, what](std::string& text) {
                          const bool is_number =
                              !text.empty() &&
                              text.find_first_not_of("0123456789") == std::string::npos;
                          if (is_number) return std::string{};
                          const Account* account = find(text.c_str());
                          if (account == nullptr) return "there is no " + (what + (" " + text));
                          text = std::to_string(id(*account));
                          return std::string{};
                        },
                        ""};
}

CLI::Validator user_id() {
  return id_validator<passwd>([](const char* name) -> const passwd* { return ::getpwnam(name); },
                              [](const passwd& user) { return user.pw_uid; }, "user");
}

CLI::Validator group_id() {
  return id_validator<group>([](const char* name) -> const group* { return ::getgrnam(name); },
                             [](const group& one) { return one.gr_gid; }, "group");
}

CLI::Validator validator(std::string (*check)(const std::string&)) {
  return CLI::Validator{[check](std::string& text) { return check(text); }, ""};
}

/// The options, bound to a Settings object.
class Parser {
 public:
  Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  /// Throws what CLI11 throws.
  Settings parse(int argc, const char* const* argv);

  [[nodiscard]] int exit(const CLI::ParseError& error) { return app_.exit(error); }
  [[nodiscard]] const std::string& config() const { return config_; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  void add_access();
  void add_limits();
  void check_findings() const;
  void check_together() const;
  void check_ids() const;

  /// One that can be given several times, or with commas.
  template <class T>
  CLI::Option* list_setting(const std::string& name, std::vector<T>& target,
                            const std::string& help) {
    return setting(name, target, help)
        ->delimiter(',')
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void limit_setting(const std::string& name, std::size_t& target, const std::string& help,
                     std::size_t least, std::size_t most) {
    setting(name, target, help + " [" + std::to_string(target) + "]")
        ->check(CLI::Range(least, most))
        ->type_name("N");
  }

  void deadline_setting(const std::string& name, std::chrono::milliseconds& target,
                        const std::string& help) {
    const auto usual = std::chrono::duration_cast<std::chrono::seconds>(target);
    names_.push_back(name);
    app_.add_option_function<unsigned>(
            "--" + name, [&target](unsigned seconds) { target = std::chrono::seconds{seconds}; },
            help + " [" + std::to_string(usual.count()) + "]")
        ->envname(variable_of(name))
        ->check(CLI::Range(1U, 3600U))
        ->type_name("SECONDS");
  }

  template <class T>
  CLI::Option* setting(const std::string& name, T& target, const std::string& help) {
    names_.push_back(name);
    return app_.add_option("--" + name, target, help)->envname(variable_of(name));
  }

  CLI::App app_{
      "Says what a container orchestrator can do on this machine, over HTTP and to "
      "Prometheus, and prepares its cgroups."};
  CLI::App* survey_ = nullptr;
  CLI::App* explain_ = nullptr;
  CLI::App* check_ = nullptr;
  Settings settings_;
  unsigned interval_ = 30;
  std::string unix_socket_;
  std::string tcp_mutations_ = "owner";
  std::string read_access_ = "all";
  CLI::Option* unix_option_ = nullptr;
  std::string config_;
  std::vector<std::string> names_;
};

Parser::Parser() {
  app_.name("surveyd");
  app_.set_version_flag("--version", std::string{"surveyd "} + version + " (" + revision + ")");
  app_.add_option("--config", config_, "Read settings from this file (name = value)")
      ->envname("SURVEYD_CONFIG")
      ->type_name("FILE");

  list_setting("listen", settings_.listen,
               "Loopback address to serve on, repeatable, \"none\" for none "
               "[127.0.0.1:9847, [::1]:9847]")
      ->check(validator(check_loopback))
      ->type_name("ADDR:PORT");
  list_setting("listen-remote", settings_.listen_remote,
               "Any other address to serve on, reads only, repeatable")
      ->check(validator(check_address))
      ->type_name("ADDR:PORT");
  unix_option_ = setting("unix-socket", unix_socket_,
                         std::string{"Unix socket to serve on, \"none\" for none ["} +
                             default_unix_socket + "]")
                     ->type_name("PATH");
  add_access();
  add_limits();
  setting("interval", interval_, "Seconds between surveys [30]")
      ->check(CLI::Range(1U, 86400U))
      ->type_name("SECONDS");
  setting("cgroup-name", settings_.cgroup_name,
          "Directory for containers at the cgroup root [zlayer]")
      ->check(validator(check_cgroup_name))
      ->type_name("NAME");
  setting("cgroup-base", settings_.cgroup_base,
          "Existing cgroup that this directory is made in, instead of the root, for example "
          "the daemon's own delegated unit /system.slice/surveyd.service")
      ->check(validator(check_cgroup_base))
      ->type_name("PATH");
  names_.emplace_back("repair");
  app_.add_flag("--repair", settings_.repair,
                "Delegate controllers again that the container parent has lost")
      ->envname(variable_of("repair"));
  list_setting(
      "storage", settings_.storage,
      std::string{"Directory that containers are stored in, repeatable ["} + default_storage + "]")
      ->check(validator(check_storage))
      ->type_name("PATH");
  names_.emplace_back("allow-module-loading");
  app_.add_flag("--allow-module-loading", settings_.allow_module_loading,
                "Let a verification make the kernel load modules")
      ->envname(variable_of("allow-module-loading"));
  setting("subject-pid", settings_.subject_pid, "Survey what this process could do, by its rights")
      ->check(CLI::Range(1, 1 << 22))
      ->type_name("PID");
  setting("subject-unit", settings_.subject_unit,
          "Survey what the main process of this systemd service could do, whichever it is")
      ->check(validator(check_unit))
      ->type_name("NAME");
  setting("log-level", settings_.log_level, "debug, info, warn, error [info]")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}).description(""))
      ->type_name("LEVEL");
  setting("log-format", settings_.log_format, "text or json, one record a line [text]")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->type_name("FORMAT");

  app_.require_subcommand(0, 1);
  app_.add_subcommand("serve", "Run the daemon (the default)")->fallthrough();
  survey_ = app_.add_subcommand("survey", "Survey once and print what was found")->fallthrough();
  survey_->add_flag("--all", settings_.all, "Give the reasons for what is yes, too");
  survey_->add_flag("--json", settings_.json,
                    "Print the document of GET /capabilities, with --all of GET /findings");
  survey_->add_flag("--verify", settings_.verify,
                    "Try what can be tried: mounts, links and cgroups that are gone afterwards");

  survey_->add_option("--pid", settings_.pid, "Survey what this process could do, by its rights")
      ->check(CLI::Range(1, 1 << 22))
      ->type_name("PID");

  explain_ =
      app_.add_subcommand("explain", "Survey once and print one finding in full")->fallthrough();
  explain_->add_option("finding", settings_.finding, "Its id; surveyd survey shows all")
      ->required()
      ->type_name("FINDING");
  explain_->add_flag("--verify", settings_.verify, "Try it, where that can be done");
  explain_->add_option("--pid", settings_.pid, "About what this process could do")
      ->check(CLI::Range(1, 1 << 22))
      ->type_name("PID");
  explain_->add_flag("--json", settings_.json, "Print the document of GET /findings/<id>");

  check_ =
      app_.add_subcommand("check", "Exit 0 if all holds, 1 if not (and say why), 2 on wrong usage")
          ->fallthrough();
  const auto mode = CLI::IsMember({"full", "nested_adaptive", "degraded"}).description("");
  check_->add_option("--mode", settings_.mode, "effective_mode has to be this one")
      ->check(mode)
      ->type_name("MODE");
  check_->add_option("--assessed-mode", settings_.assessed_mode, "assessed_mode has to be this one")
      ->check(mode)
      ->type_name("MODE");
  std::string findings;
  for (const Probe& probe : catalogue()) findings += "\n  " + probe.id + ": " + probe.summary;
  check_
      ->add_option("--require", settings_.required,
                   "Findings that have to be yes, separated by commas:" + findings)
      ->delimiter(',')
      ->type_name("FINDING,...");
  check_->add_flag("--verified", settings_.verified,
                   "Those of them that can be tried have to be yes when they are");
}

void Parser::add_access() {
  list_setting("allow-host", settings_.allow_host,
               "Host names that remote clients may ask for, repeatable [any]")
      ->type_name("NAME");
  setting("tls-cert", settings_.tls.certificate,
          "Serve remote listeners with TLS: the certificate and its chain")
      ->type_name("FILE");
  setting("tls-key", settings_.tls.key, "The key of that certificate")->type_name("FILE");
  setting("tls-client-ca", settings_.tls.client_authorities,
          "Take remote clients only with a certificate of one of these authorities")
      ->type_name("FILE");
  setting("tcp-mutations", tcp_mutations_,
          "Who may change something over loopback TCP: the owner of the socket (root or "
          "surveyd's user), who has the token, nobody: owner, token, off [owner]")
      ->check(CLI::IsMember({"owner", "token", "off"}).description(""))
      ->type_name("WHO");
  setting("token-file", settings_.token_file,
          "The token for --tcp-mutations=token: one line, mode 0600")
      ->type_name("FILE");
  setting("read-access", read_access_,
          "Who may read: all, or owner for those only who may change something [all]")
      ->check(CLI::IsMember({"all", "owner"}).description(""))
      ->type_name("WHO");
  list_setting("allow-uid", settings_.access.uids,
               "User who may change something over the Unix socket, repeatable")
      ->transform(user_id())
      ->type_name("USER");
  list_setting("allow-gid", settings_.access.gids,
               "Group whose members may change something over the Unix socket, repeatable")
      ->transform(group_id())
      ->type_name("GROUP");
}

void Parser::add_limits() {
  http::Limits& limits = settings_.limits;
  constexpr std::size_t mebibyte = 1024 * 1024;
  limit_setting("max-head-bytes", limits.head_bytes, "Bytes of a request's head", 256,
                http::most_input);
  limit_setting("max-body-bytes", limits.body_bytes, "Bytes of a request's body", 64, mebibyte);
  limit_setting("max-json-depth", limits.json_levels, "Levels of a JSON body", 1, 1000);
  limit_setting("max-request-bytes", limits.request_bytes,
                "Bytes of a request on the wire, with chunk extensions and trailers", 1024,
                4 * mebibyte);
  limit_setting("max-requests", limits.requests_per_connection, "Requests of a connection", 1,
                1000 * mebibyte);
  limit_setting("max-connections", limits.connections, "Connections at a time", 8, mebibyte);
  limit_setting("unix-connections", limits.unix_connections, "Of these, kept for the Unix socket",
                0, mebibyte);
  deadline_setting("head-deadline", limits.head_deadline,
                   "Seconds from a request's first byte to the end of its head");
  deadline_setting("body-deadline", limits.body_deadline, "Seconds more for its body");
  deadline_setting("write-deadline", limits.write_deadline,
                   "Seconds within which an answer has to be taken");
  deadline_setting("idle-deadline", limits.idle_deadline, "Seconds between two requests");
}

// What only makes sense together, or not at all.
void Parser::check_together() const {
  const auto refuse = [](const char* option, const char* why) {
    throw CLI::ValidationError(option, why);
  };
  const bool by_token = settings_.access.tcp_mutations == http::TcpMutations::token;
  if (by_token && settings_.token_file.empty())
    refuse("--tcp-mutations", "token needs a --token-file");
  if (!by_token && !settings_.token_file.empty())
    refuse("--token-file", "needs --tcp-mutations token");
  if (settings_.tls.certificate.empty() != settings_.tls.key.empty())
    refuse("--tls-cert", "and --tls-key go together");
  if (settings_.tls.certificate.empty() && !settings_.tls.client_authorities.empty())
    refuse("--tls-client-ca", "needs --tls-cert");
  const http::Limits& limits = settings_.limits;
  if (limits.unix_connections >= limits.connections)
    refuse("--unix-connections", "has to be less than --max-connections");
  if (limits.request_bytes < limits.head_bytes + limits.body_bytes)
    refuse("--max-request-bytes", "has to be at least --max-head-bytes and --max-body-bytes");
}

// The overflow ids are those of everybody without a mapping here, and -1 is nobody's.
void Parser::check_ids() const {
  const auto check = [](const char* option, const std::vector<unsigned>& ids, unsigned overflow) {
    for (const unsigned id : ids)
      if (id == overflow || id == static_cast<unsigned>(-1))
        throw CLI::ValidationError(option, std::to_string(id) + " stands for nobody in particular");
  };
  check("--allow-uid", settings_.access.uids, overflow_uid());
  check("--allow-gid", settings_.access.gids, overflow_gid());
}

// Which findings there are depends on the storage paths.
void Parser::check_findings() const {
  const std::vector<Probe> probes = probes_for(settings_.storage);
  const auto check = [&probes](const char* option, const std::string& id) {
    if (const std::string wrong = check_finding(id, probes); !wrong.empty())
      throw CLI::ValidationError(option, wrong);
  };
  if (explain_->parsed()) check("finding", settings_.finding);
  for (const std::string& id : settings_.required) check("--require", id);
}

Settings Parser::parse(int argc, const char* const* argv) {
  app_.parse(argc, argv);
  settings_.interval = std::chrono::seconds{interval_};
  if (unix_option_->count() > 0)
    settings_.unix_socket = unix_socket_ == no_listener ? std::string{} : unix_socket_;
  if (settings_.storage.empty()) settings_.storage = {default_storage};
  settings_.access.owner_reads = read_access_ == "owner";
  settings_.access.tcp_mutations = tcp_mutations_ == "token" ? http::TcpMutations::token
                                   : tcp_mutations_ == "off" ? http::TcpMutations::off
                                                             : http::TcpMutations::owner;
  check_findings();
  check_together();
  check_ids();
  if (settings_.subject_pid != 0 && !settings_.subject_unit.empty())
    throw CLI::ValidationError("--subject-unit", "cannot go with --subject-pid: which of them?");
  if (settings_.pid != 0 && settings_.verify)
    throw CLI::ValidationError("--verify",
                               "cannot go with --pid: it would act in that process's name");
  if (survey_->parsed()) settings_.command = Command::survey;
  if (explain_->parsed()) settings_.command = Command::explain;
  if (check_->parsed()) {
    settings_.command = Command::check;
    if (settings_.mode.empty() && settings_.assessed_mode.empty() && settings_.required.empty())
      throw CLI::ValidationError("check", "needs --mode, --assessed-mode or --require");
    if (settings_.verified && settings_.required.empty())
      throw CLI::ValidationError("--verified", "is about what --require names");
  }
  return std::move(settings_);
}

// A variable that is no setting may be a typing error, or one that Kubernetes makes for a service
// called surveyd: worth a warning, no reason to fail.
std::vector<std::string> unknown_variables(const std::vector<std::string>& names) {
  std::vector<std::string> unknown;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    const std::string variable{text.substr(0, text.find('='))};
    if (!variable.starts_with("SURVEYD_") || variable == "SURVEYD_CONFIG") continue;
    if (std::none_of(names.begin(), names.end(), [&variable](const std::string& name) {
          return variable_of(name) == variable;
        }))
      unknown.push_back(variable);
  }
  return unknown;
}

// The file ranks below the environment, so its settings become variables that are not set yet.
void load_file(const std::string& path, const std::vector<std::string>& names) {
  std::ifstream file{path};
  // A directory opens, and reads as if it were empty.
  if (!file || std::filesystem::is_directory(path))
    throw CLI::ConfigError(path + " cannot be read");
  std::stringstream text;
  text << file.rdbuf();
  // A variable would end at one, and so would hold another value than the file.
  if (text.str().find('\0') != std::string::npos) throw CLI::ConfigError(path + " holds a NUL");
  std::set<std::string> given;
  for (const CLI::ConfigItem& item : CLI::ConfigTOML{}.from_config(text)) {
    if (item.name == "++" || item.name == "--") continue;  // CLI11's marks of a section
    if (!item.parents.empty() || std::find(names.begin(), names.end(), item.name) == names.end())
      throw CLI::ConfigError("\"" + item.fullname() + "\" in " + path + " is not a setting");
    if (!given.insert(item.name).second)
      throw CLI::ConfigError("\"" + item.name + "\" is given twice in " + path);
    std::string value;
    for (const std::string& input : item.inputs) value += (value.empty() ? "" : ",") + input;
    // Its default would be in effect, and that may be more than was meant.
    if (value.empty()) throw CLI::ConfigError("\"" + item.name + "\" in " + path + " has no value");
    // An empty variable is as good as none.
    const std::string variable = variable_of(item.name);
    const char* current = std::getenv(variable.c_str());
    ::setenv(variable.c_str(), value.c_str(), current != nullptr && *current == '\0');
  }
}

}  // namespace

std::variant<Settings, int> parse_settings(int argc, const char* const* argv) {
  Parser first;
  std::string from;
  try {
    Settings settings = first.parse(argc, argv);
    const std::vector<std::string> unknown = unknown_variables(first.names());
    if (!first.config().empty()) {
      load_file(first.config(), first.names());
      from = " (settings file " + first.config() + ")";
      settings = Parser{}.parse(argc, argv);
    }
    settings.unknown_variables = unknown;
    return settings;
  } catch (const CLI::Success& help) {
    return first.exit(help);
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    std::replace(line.begin(), line.end(), '\n', ' ');
    std::cerr << "surveyd: " << line << from << "\n";
    return wrong_usage;
  }
}

}  // namespace surveyd::cli
