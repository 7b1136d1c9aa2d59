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
#include "cli/credentials.hpp"
#include "cli/listeners.hpp"
#include "cli/log.hpp"
#include "cli/once.hpp"
#include "cli/repair.hpp"
#include "cli/start_failure.hpp"
#include "cli/subject_source.hpp"
#include "cli/supervision.hpp"
#include "host/process_usage.hpp"
#include "host/program_pages.hpp"
#include "host/real_host.hpp"
#include "http/server.hpp"
#include "json/documents.hpp"
#include "json/findings.hpp"
#include "probes/sandbox.hpp"
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
  if (limits.connections <= usable) return limits;
  spdlog::warn(
      "RLIMIT_NOFILE of {} leaves room for {} connections, not for the {} of "
      "--max-connections",
      descriptors.rlim_cur, usable, limits.connections);
  limits.connections = usable;
  limits.unix_connections = std::min(limits.unix_connections, limits.connections / 4);
  return limits;
}

using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> file_id_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
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
  // Other threads post to it and do nothing else: sockets and descriptors need no locks.
  boost::asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  // Before anybody can see that it runs: from then on a signal means what it should.
  boost::asio::signal_set surveys{context, SIGHUP};
  boost::asio::signal_set ends{context, SIGTERM, SIGINT};
  Supervision supervision{context};
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
  // Between surveys hardly any of the program is used. Not on this thread: it takes a hundred
  // system calls or so.
  auto give_back_pages = [&cgroup_reader, at = std::chrono::steady_clock::time_point{}]() mutable {
    constexpr std::chrono::seconds seldom{10};
    const auto now = std::chrono::steady_clock::now();
    if (now - at < seldom) return;
    at = now;
    (void)cgroup_reader.try_post(give_back_program_pages, 1);
  };
  const auto publish = [&, give_back_pages](const Surveyor::Published& snapshot) mutable {
    publish_to->publish(snapshot);
    supervision.surveyed(*snapshot);
    give_back_pages();
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
  surveyor_settings.replace_claims =
      [results, sandbox = probes::find_sandbox(host)](const Findings& claims) {
        return probes::name_sandbox(results->replace(claims), sandbox);
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
  run::Worker credentials_worker{"credentials"};
  Credentials credentials{context.get_executor(), settings, service, server, credentials_worker};
  credentials.load_or_fail();
  const std::string made_socket = open_listeners(server, service, settings);
  const auto own_file = file_id_of(made_socket);

  std::function<void()> await_hangup = [&] {
    surveys.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      supervision.reloading(2);
      credentials.reload([&supervision] { supervision.reloaded(); });
      surveyor.survey([&supervision](const Surveyor::Published&) { supervision.reloaded(); });
      await_hangup();
    });
  };
  ends.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    spdlog::info("signal {}: finishing open requests", signal);
    supervision.stopping("Finishing open requests");
    verifications.cancel();
    // Another instance may have taken the path over, and the next one may do so from now on. As
    // long as the socket is open, no other file has its number.
    if (!made_socket.empty() && file_id_of(made_socket) == own_file) ::unlink(made_socket.c_str());
    server.drain([&context] { context.stop(); });
    ends.async_wait([&](const boost::system::error_code& none, int again) {
      if (none) return;
      supervision.stopping("Ending at once");
      const std::size_t given_up = server.abort();
      spdlog::warn("signal {}: ending at once, {} open requests are given up", again, given_up);
    });
  });

  await_hangup();
  server.start();
  surveyor.start();
  serve_until_stopped(context);

  for (const std::string& id : reaper.pending())
    spdlog::warn("container {} is not removed yet, and nobody goes on with it", id);
  const bool trials_ended = verifications.stop(std::chrono::milliseconds{1500});
  subject_surveyor.cancel();
  if (source) source->cancel();
  const bool surveys_ended = surveyor.stop();
  const bool questions_ended = subject_worker.stop(std::chrono::milliseconds{200});
  const bool changes_ended = cgroup_worker.stop(std::chrono::milliseconds{200});
  const bool reads_ended = cgroup_reader.stop(std::chrono::milliseconds{200});
  const bool credentials_ended = credentials_worker.stop(std::chrono::milliseconds{200});
  spdlog::info("ended");
  if (!surveys_ended || !changes_ended || !reads_ended || !trials_ended || !questions_ended ||
      !credentials_ended) {
    // A thread is stuck in the kernel and still uses what would be destroyed now.
    spdlog::default_logger()->flush();
    std::_Exit(EXIT_SUCCESS);
  }
  // The handlers end with the sets of signals: one more SIGTERM now would make this another end.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
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
