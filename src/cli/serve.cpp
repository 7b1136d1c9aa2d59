#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <surveyd/cgroup_tree.hpp>
#include <surveyd/surveyor.hpp>

#include "cli/build_info.hpp"
#include "cli/commands.hpp"
#include "cli/log.hpp"
#include "cli/once.hpp"
#include "cli/repair.hpp"
#include "cli/subject_source.hpp"
#include "host/process_usage.hpp"
#include "host/real_host.hpp"
#include "host/secret_file.hpp"
#include "http/server.hpp"
#include "http/tls.hpp"
#include "json/documents.hpp"
#include "json/findings.hpp"
#include "run/cgroup_monitor.hpp"
#include "run/reaper.hpp"
#include "run/verifications.hpp"

namespace surveyd::cli {
namespace {

constexpr int cannot_start = 2;

// A connection takes one descriptor, and a service manager's soft limit is often 1,024. What
// surveys, logs and cgroup operations need stays free.
http::Limits within_descriptors(http::Limits limits) {
  constexpr rlim_t kept_free = 64;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return limits;
  descriptors.rlim_cur = descriptors.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  const rlim_t usable = descriptors.rlim_cur > 2 * kept_free ? descriptors.rlim_cur - kept_free
                                                             : descriptors.rlim_cur / 2;
  limits.connections = std::min<rlim_t>(limits.connections, usable);
  limits.unix_connections = std::min(limits.unix_connections, limits.connections / 4);
  return limits;
}

/// Something that the operator has to change before the daemon can start; one line.
struct StartFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string& where, const Error& error) {
  throw StartFailure("cannot listen on " + where + ": " + error.code.message() + " (" + error.op +
                     " " + error.path + ")");
}

http::RemoteRules remote_rules(const Settings& settings) {
  return {.hosts = settings.allow_host,
          .encrypted = !settings.tls.certificate.empty(),
          .knows_clients = !settings.tls.client_authorities.empty()};
}

void open_remote(http::Server& server, const std::string& text, const http::RemoteRules& rules) {
  auto socket = listen_tcp(*parse_tcp_address(text));
  if (!socket) fail(text, socket.error());
  const auto bound = bound_address(socket->get());
  if (!bound) fail(text, bound.error());
  spdlog::info("listening on {}, reads only", server.add_remote(std::move(*socket), *bound, rules));
  if (!rules.encrypted)
    spdlog::warn("{} is not encrypted and answers to everybody who can reach it", text);
}

void open_loopback(http::Server& server, const std::string& text, bool optional) {
  const auto wanted = parse_tcp_address(text);
  auto socket = listen_tcp(*wanted);
  if (!socket) {
    // A machine without IPv6 has no ::1, and nobody asked for it by name.
    const bool no_ipv6 = socket.error().code == std::errc::address_not_available ||
                         socket.error().code == std::errc::address_family_not_supported;
    if (!optional || !no_ipv6) fail(text, socket.error());
    spdlog::info("not listening on {}: {}", text, socket.error().code.message());
    return;
  }
  const auto bound = bound_address(socket->get());
  if (!bound) fail(text, bound.error());
  spdlog::info("listening on {}", server.add_loopback(std::move(*socket), *bound));
}

/// The path that is served, empty when there is none.
std::string open_unix(http::Server& server, const Settings& settings) {
  const bool asked = settings.unix_socket.has_value();
  std::string path = settings.unix_socket.value_or(default_unix_socket);
  if (path.empty()) return path;
  auto socket = listen_unix(path, !asked);
  if (!socket) {
    const Error& error = socket.error();
    const bool no_place = error.code == std::errc::permission_denied ||
                          error.code == std::errc::read_only_file_system;
    if (asked || !no_place) fail(path, error);
    spdlog::info("no Unix socket: {} cannot be made: {}", error.path, error.code.message());
    return {};
  }
  spdlog::info("listening on {}", server.add_unix(std::move(*socket), path));
  return path;
}

void open_listeners(http::Server& server, http::Service& service, const Settings& settings) {
  if (settings.listen.empty())
    for (const char* address : default_listen)
      open_loopback(server, address, std::string_view{address}.starts_with('['));
  for (const std::string& address : settings.listen)
    if (address != no_listener) open_loopback(server, address, false);
  for (const std::string& address : settings.listen_remote)
    open_remote(server, address, remote_rules(settings));
  service.unix_socket = open_unix(server, settings);
}

/// The files behind --token-file and --tls-…, which SIGHUP reads again.
class Credentials {
 public:
  Credentials(const Settings& settings, http::Service& service, http::Server& server)
      : settings_(settings), service_(service), server_(server) {}

  void load_or_fail() {
    if (const auto loaded = load(); !loaded) throw StartFailure(describe(loaded.error()));
  }

  /// What cannot be read leaves what was read before.
  void reload() {
    if (const auto loaded = load(); !loaded)
      spdlog::error("{}; what was read before still holds", describe(loaded.error()));
  }

 private:
  Result<void> load() {
    if (!settings_.token_file.empty()) {
      auto token = read_secret(settings_.token_file);
      if (!token) return token.error();
      service_.token = std::move(*token);
    }
    if (!settings_.tls.certificate.empty()) {
      auto tls = http::load_tls(settings_.tls);
      if (!tls) return tls.error();
      server_.use_tls(std::move(*tls));
    }
    return {};
  }

  static std::string describe(const Error& error) {
    return "cannot " + error.op + " " + error.path + ": " +
           (error.detail.empty() ? error.code.message() : error.detail);
  }

  const Settings& settings_;
  http::Service& service_;
  http::Server& server_;
};

std::optional<ino_t> inode_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

/// One line for the first survey, and one for each change after it.
void log_changes(const Survey* before, const Survey& after) {
  if (before == nullptr) {
    spdlog::info("surveyed: effective_mode={} assessed_mode={}",
                 to_string(after.capabilities.effective_mode), to_string(after.assessment.mode));
    return;
  }
  for (const Change& change : after.new_changes()) {
    if (change.from == change.to)  // still no, say, but for another reason
      spdlog::info("{} is still {}, now {}: {}", change.what, change.to, change.to_code,
                   change.reason);
    else
      spdlog::info("{} changed from {} to {}: {}", change.what, change.from, change.to,
                   change.reason);
  }
}

// The last boundary: what one event could not do is in the log, and the next one is served.
void serve_until_stopped(boost::asio::io_context& context) {
  while (!context.stopped()) {
    try {
      context.run();
    } catch (const std::exception& failure) {
      spdlog::error("an event failed: {}", failure.what());
    }
  }
}

int run(const Settings& settings) {
  const RealHost host;
  const metrics::Build build{version, revision, compiler, host.kernel_release()};
  boost::asio::io_context context{1};
  // Before anybody can see that it runs: from then on a signal means what it should.
  boost::asio::signal_set surveys{context, SIGHUP};
  boost::asio::signal_set ends{context, SIGTERM, SIGINT};
  metrics::Counters counters;
  const ContainerPlan plan = container_plan(settings);
  CgroupTree tree{host, plan};
  CgroupTree readable_tree{host, plan};
  http::Access access{tree, settings.access};
  http::Access readers{readable_tree, settings.access};
  run::Worker cgroup_worker{"cgroups"};
  run::Worker cgroup_reader{"cgroups-read"};
  run::Reaper reaper{context.get_executor(), tree, cgroup_worker};

  http::Service* publish_to = nullptr;
  std::optional<run::CgroupMonitor> monitor;
  Surveyor::Published last;
  const auto render = [&host, &build](const Survey& survey) {
    Documents documents;
    documents.capabilities = json::capabilities(survey);
    documents.daemon_capabilities = json::daemon_capabilities(survey);
    documents.findings = json::findings(survey);
    documents.changes = json::changes(survey);
    for (const Finding& finding : survey.findings.all())
      documents.finding[finding.id] = json::finding(finding);
    documents.metrics = metrics::of_survey(survey, process_usage(host), build);
    return documents;
  };
  const auto source = settings.has_subject() ? make_subject_source(settings) : nullptr;
  const auto publish = [&](const Surveyor::Published& snapshot) {
    publish_to->publish(snapshot);
    if (snapshot->survey.run.stale) return;
    // Cgroups are surveyd's own matter, whoever is surveyed.
    if (source) monitor->surveyed(about_surveyd(*snapshot));
    if (source) source->report(*snapshot);
    if (snapshot->failure) return;
    const Survey* before = last ? &last->survey : nullptr;
    counters.surveyed(before, snapshot->survey);
    if (!source) monitor->surveyed(snapshot->survey);
    log_changes(before, snapshot->survey);
    last = snapshot;
  };
  // What worker threads use lives as long as they do: a stuck one ends with the process.
  const std::vector<Probe> probes = probes_for(settings.storage);
  const auto results = std::make_shared<run::VerifiedResults>(host, settings.storage);
  SurveyorSettings surveyor_settings;
  surveyor_settings.interval = settings.interval;
  surveyor_settings.plan = plan;
  surveyor_settings.replace_claims = [results](const Findings& claims) {
    return results->replace(claims);
  };
  if (source) surveyor_settings.source = [source] { return source->survey(); };
  Surveyor surveyor{context.get_executor(), host, probes, surveyor_settings, render, publish};
  run::Verifications verifications{context.get_executor(), surveyor,
                                   verification_order(settings, verifiable(settings)),
                                   json::parse_finding, results};

  http::Service service{surveyor,
                        {tree, cgroup_worker, readable_tree, cgroup_reader, readers, reaper},
                        access,
                        counters,
                        within_descriptors(settings.limits),
                        settings.access};
  CgroupTree subject_tree{host, plan};
  http::Access subject_access{subject_tree, settings.access};
  run::Worker subject_worker{"subjects"};
  run::SubjectSurveyor subject_surveyor{json::parse_finding};
  http::Subjects subjects{subject_access, subject_worker, subject_surveyor, settings.storage, plan};
  service.subjects = &subjects;
  service.load_page();
  if (!source) service.verifications = &verifications;
  publish_to = &service;

  Repair repair{context.get_executor(), tree, cgroup_worker, counters, surveyor};
  run::CgroupMonitor::Hooks hooks;
  hooks.changed = [&surveyor] { surveyor.survey(); };
  hooks.lost = [&counters](const std::vector<std::string>& controllers) {
    for (const std::string& name : controllers) {
      spdlog::warn("the container parent has lost the controller {}", name);
      counters.cgroup_drift(name);
    }
  };
  if (settings.repair) hooks.repair = [&repair] { repair.begin(); };
  hooks.counted = [&counters](const run::ContainerCounts& counts) {
    counters.containers(counts.populated, counts.empty, counts.orphaned);
  };
  hooks.blind = [](const Error& error) {
    spdlog::warn("a controller that is withdrawn will be seen by the next survey only: {}",
                 to_string(error));
  };
  monitor.emplace(context.get_executor(), readable_tree, cgroup_reader, std::move(hooks));
  service.ensured = [&monitor, &surveyor](const EnsureReport& report) {
    monitor->ensured(report, surveyor.begun());
  };
  http::Server server{context, service};
  Credentials{settings, service, server}.load_or_fail();
  open_listeners(server, service, settings);
  const auto unix_inode = inode_of(service.unix_socket);

  std::function<void()> await_hangup = [&] {
    surveys.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      Credentials{settings, service, server}.reload();
      surveyor.survey();
      await_hangup();
    });
  };
  ends.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    spdlog::info("signal {}: finishing open requests", signal);
    verifications.cancel();
    server.drain([&context] { context.stop(); });
  });

  await_hangup();
  server.start();
  surveyor.start();
  serve_until_stopped(context);

  // Another instance may have taken the path over meanwhile.
  if (!service.unix_socket.empty() && inode_of(service.unix_socket) == unix_inode)
    ::unlink(service.unix_socket.c_str());
  for (const std::string& id : reaper.pending())
    spdlog::warn("container {} is not removed yet, and nobody goes on with it", id);
  const bool trials_ended = verifications.stop(std::chrono::milliseconds{1500});
  subject_surveyor.cancel();
  if (source) source->cancel();
  const bool surveys_ended = surveyor.stop();
  const bool questions_ended = subject_worker.stop(std::chrono::milliseconds{200});
  const bool changes_ended = cgroup_worker.stop(std::chrono::milliseconds{200});
  const bool reads_ended = cgroup_reader.stop(std::chrono::milliseconds{200});
  spdlog::info("ended");
  if (!surveys_ended || !changes_ended || !reads_ended || !trials_ended || !questions_ended) {
    // A thread is stuck in the kernel and still uses what would be destroyed now.
    spdlog::default_logger()->flush();
    std::_Exit(EXIT_SUCCESS);
  }
  return EXIT_SUCCESS;
}

}  // namespace

int serve(const Settings& settings) {
  start_log(settings.log_level, settings.log_format);
  // The pipe behind the log may close as well as any client.
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(0022);  // the rights that cgroup directories are made with
  for (const std::string& variable : settings.unknown_variables)
    spdlog::warn("the environment variable {} is not a setting", variable);
  try {
    return run(settings);
  } catch (const SubjectMissing& failure) {
    std::cerr << "surveyd: " << failure.what() << "\n";
    return cannot_start;
  } catch (const StartFailure& failure) {
    std::cerr << "surveyd: " << failure.what() << "\n";
    return cannot_start;
  }
}

}  // namespace surveyd::cli
