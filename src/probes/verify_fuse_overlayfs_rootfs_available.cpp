#include <chrono>

#include <sched.h>

#include "host/program.hpp"
#include "host/real_host.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/overlay_trial.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

using namespace std::chrono_literals;

constexpr auto most_time = 2s;  // to come up; ordinarily it takes a few milliseconds
constexpr auto glance = 2ms;

// FUSE_SUPER_MAGIC of linux/magic.h.
constexpr std::uint64_t fuse_magic = 0x65735546;

bool is_fuse(const Host& host, const std::string& directory) {
  const auto file_system = host.file_system(directory);
  return file_system && file_system->magic == fuse_magic;
}

// The program runs as long as its mount is there, and the mount as long as the program runs.
std::optional<Failure> try_fuse_overlay(const std::string& program, const std::string& directory) {
  const auto overlay = lay_out_overlay(directory);
  if (!overlay) return Failure{overlay.error(), false};
  // Relative: it has no way to tell a colon in a path from the one between two lowers.
  const std::string directories = "lowerdir=lower1:lower2,upperdir=upper,workdir=work";
  auto running = RunningProgram::start({program, "-f", "-o", directories, "merged"}, directory);
  if (!running) return Failure{running.error(), false};
  RealHost host;
  const auto deadline = host.now() + most_time;
  while (!is_fuse(host, overlay->target)) {
    if (running->has_ended_within(glance))
      return Failure{error_of(*running, Fault::program_failed, program), false};
    if (host.now() > deadline) return Failure{error_of(*running, Fault::timed_out, program), false};
  }
  auto failure = exercise_overlay(*overlay);
  running->end();
  (void)unmount(overlay->target);
  return failure;
}

}  // namespace

// The value stays the path of fusermount.
Finding verify_fuse_overlayfs_rootfs_available(Trial& trial) {
  const Program program = find_program(trial.subject.host(), "fuse-overlayfs");
  if (program.status != Status::yes) return trial.claim;  // there is nothing to try
  const Attempts attempts = attempt(CLONE_NEWNS, [&](Rights rights) -> std::optional<Failure> {
    Result<std::string> place = trial.scratch ? trial.scratch : private_tmpfs(trial);
    if (!place) return Failure{place.error(), false};
    return try_fuse_overlay(program.path,
                            *place + (rights == Rights::own ? "/direct" : "/user_namespace"));
  });
  return conclude(trial, attempts, "a fuse-overlayfs mount");
}

}  // namespace surveyd::probes
