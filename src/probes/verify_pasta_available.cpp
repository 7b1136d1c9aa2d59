#include <algorithm>
#include <chrono>
#include <string_view>

#include <sched.h>

#include "host/isolation.hpp"
#include "host/namespace_holder.hpp"
#include "host/program.hpp"
#include "host/real_host.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

using namespace std::chrono_literals;

constexpr auto most_time = 2s;  // to connect the namespace; ordinarily some ten milliseconds
constexpr auto glance = 2ms;

// The lines of /proc/<pid>/net/dev after the two of its head; an empty namespace has `lo` alone.
bool has_interface(const Host& host, const NamespaceHolder& holder) {
  const auto text = host.read(holder.file("net/dev"));
  return text && std::count(text->begin(), text->end(), '\n') > 3;
}

std::optional<Failure> connect_namespace(const std::string& pasta, const NamespaceHolder& holder) {
  // No ports: nothing listens because of it, and nothing is sent.
  auto running =
      RunningProgram::start({pasta, "--foreground", "--config-net", "-t", "none", "-u", "none",
                             "-T", "none", "-U", "none", std::to_string(holder.pid())});
  if (!running) return Failure{running.error(), false};
  RealHost host;
  const auto deadline = host.now() + most_time;
  while (!has_interface(host, holder)) {
    if (running->has_ended_within(glance))
      return Failure{error_of(*running, Fault::program_failed, pasta), false};
    if (host.now() > deadline) return Failure{error_of(*running, Fault::timed_out, pasta), false};
  }
  return std::nullopt;
}

std::optional<Failure> try_pasta(const Host& host, const std::string& pasta) {
  // As root it would become nobody, who may not open the namespaces of root. As root of a user
  // namespace it stays what it is, and that is how engines run it.
  if (host.effective_uid() == 0)
    if (auto entered = enter_namespaces(0, Rights::user_namespace); !entered)
      return Failure{entered.error(), false};
  const auto holder = NamespaceHolder::make(CLONE_NEWNET, NamespaceHolder::Ids::own_user);
  if (!holder) return Failure{holder.error(), false};
  return connect_namespace(pasta, *holder);
}

}  // namespace

// The value stays its path.
Finding verify_pasta_available(Trial& trial) {
  const Host& host = trial.subject.host();
  const Program pasta = find_program(host, "pasta");
  if (pasta.status != Status::yes) return trial.claim;  // there is nothing to try
  const auto version = run_program({pasta.path, "--version"}, most_time);
  const auto failure = try_pasta(host, pasta.path);
  Finding finding =
      failure ? refused(trial.claim, host, *failure, "pasta")
              : verified(trial.claim, Status::yes, ReasonCode::available,
                         "pasta at " + pasta.path + " connects an empty network namespace");
  finding.evidence.push_back(
      version ? observed("pasta --version", version->substr(0, version->find('\n')))
              : evidence_of("pasta --version", version.error()));
  finding.evidence.push_back(failure
                                 ? evidence_of("pasta, in an own user namespace", failure->error)
                                 : observed("pasta, in an own user namespace", "works"));
  return finding;
}

}  // namespace surveyd::probes
