#include "probes/cgroup_trials.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cgroup/scratch_cgroup.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/refusal.hpp"

namespace surveyd::probes {
namespace {

using cgroup::ScratchCgroup;

constexpr const char* most_processes = "64";

std::string shown(const std::vector<std::string>& controllers) {
  return controllers.empty() ? "none" : parse::joined(controllers);
}

// Its name is another one each time, and tells the reader nothing.
std::string anonymous(std::string text) {
  const auto begin = text.find(cgroup::scratch_prefix);
  if (begin == std::string::npos) return text;
  const auto name = begin + cgroup::scratch_prefix.size();
  return text.replace(name, std::min(text.find('/', name), text.size()) - name, "*");
}

Error anonymous(Error error) {
  error.path = anonymous(std::move(error.path));
  return error;
}

/// Takes down each step of a trial.
class Record {
 public:
  Record(CgroupTrial& trial, const std::string& place)
      : trial_(trial), scratch_(place + "/" + std::string{cgroup::scratch_prefix} + "*") {}

  [[nodiscard]] std::string file(const char* name) const { return scratch_ + "/" + name; }

  void saw(const std::string& source, const std::string& value) {
    trial_.evidence.push_back(observed(source, value));
  }
  void saw(const std::string& source, const Error& error) {
    const bool is_errno = !errno_name(error.code).empty();
    trial_.evidence.push_back(is_errno ? failed(source, error)
                                       : observed(source, error.code.message()));
  }
  /// True when the step succeeded. What fails first decides.
  template <class Outcome>
  bool step(const std::string& source, const Outcome& outcome, bool was_accepted = true) {
    if (outcome) {
      saw(source, "0");
      return true;
    }
    saw(source, outcome.error());
    if (!trial_.failure) trial_.failure = Failure{anonymous(outcome.error()), was_accepted};
    return false;
  }
  [[nodiscard]] std::string made() const { return "mkdir(" + scratch_ + ")"; }
  [[nodiscard]] std::string removed() const { return "rmdir(" + scratch_ + ")"; }

 private:
  CgroupTrial& trial_;
  std::string scratch_;
};

void enable_each(ScratchCgroup& scratch, Record& record, CgroupTrial& trial) {
  const auto controllers = scratch.controllers();
  if (!controllers) return record.saw(record.file("cgroup.controllers"), controllers.error());
  record.saw(record.file("cgroup.controllers"), shown(*controllers));
  for (const std::string& name : *controllers) {
    const auto enabled = scratch.enable(name);
    if (enabled)
      trial.usable.push_back(name);
    else
      record.saw("write(+" + name + ", " + record.file("cgroup.subtree_control") + ")",
                 enabled.error());
  }
  if (!trial.usable.empty())
    record.saw("enabled in " + record.file("cgroup.subtree_control"), parse::joined(trial.usable));
}

bool limit_processes(ScratchCgroup& scratch, Record& record) {
  if (!record.step("write(" + std::string{most_processes} + ", " + record.file("pids.max") + ")",
                   scratch.write("pids.max", most_processes)))
    return false;
  const auto text = scratch.read("pids.max");
  Result<void> kept;
  if (!text)
    kept = text.error();
  else if (parse::trimmed(*text) != most_processes)
    kept = Error{.code = Fault::not_read_back, .op = "read", .path = record.file("pids.max")};
  return record.step(record.file("pids.max"), kept);
}

bool live_and_die(ScratchCgroup& scratch, Record& record, int pid) {
  // A refusal here is no misbehaviour: the cgroup above may belong to somebody else.
  if (!record.step("move a process into " + record.file("cgroup.procs"), scratch.take_in(pid),
                   false))
    return false;
  const auto controllers = scratch.controllers();
  if (!controllers) return record.step(record.file("cgroup.controllers"), controllers);
  record.saw(record.file("cgroup.controllers"), shown(*controllers));
  const auto has = [&controllers](const char* name) {
    return std::find(controllers->begin(), controllers->end(), name) != controllers->end();
  };
  if (has("pids") && !limit_processes(scratch, record)) return false;
  // Only for whoever reads it: without swap accounting, or swap, there is no such file.
  if (has("memory")) {
    const auto swap = scratch.read("memory.swap.max");
    if (swap)
      record.saw(record.file("memory.swap.max"), std::string{parse::trimmed(*swap)});
    else
      record.saw(record.file("memory.swap.max"), swap.error());
  }
  return record.step("kill, and wait for populated 0 in " + record.file("cgroup.events"),
                     scratch.kill());
}

const char* explain_limit(const Error& error) {
  return error.code == std::errc::no_space_on_device
             ? "the kernel is out of cgroup ids: removed cgroups may still be dying"
             : "cgroup.max.depth or cgroup.max.descendants of an ancestor is reached";
}

bool is_limit(const Error& error) {
  return error.op == "mkdir" && (error.code == std::errc::no_space_on_device ||
                                 error.code == std::errc::resource_unavailable_try_again);
}

// What a claim says besides whether it works, which is no cause of a refusal.
bool explains(const Finding& claim) {
  return claim.status == Status::no && claim.code != ReasonCode::not_ensured &&
         claim.code != ReasonCode::controllers_missing &&
         claim.code != ReasonCode::no_container_controllers;
}

Finding judge(Finding claim, const Failure& failure, const std::string& what) {
  const Error& error = failure.error;
  const std::string step = describe_step(error);
  if (error.code == Fault::timed_out)
    return verified(std::move(claim), Status::unknown, ReasonCode::timed_out,
                    what + " was tried, and " + step);
  if (is_limit(error))
    return verified(std::move(claim), Status::no, ReasonCode::limit_reached,
                    what + " was refused: " + step + "; " + explain_limit(error));
  if (error.code == std::errc::operation_not_supported)
    return verified(std::move(claim), Status::no, ReasonCode::threaded,
                    what + " was refused: " + step + "; the cgroup or one above it is threaded");
  if ((failure.was_accepted && !is_inconclusive(error.code)) || error.code == Fault::not_read_back)
    return verified(std::move(claim), Status::no, ReasonCode::misbehaves,
                    what + " is accepted and then does not work: " + step);
  if (!explains(claim)) claim.status = Status::unknown;
  return refused_in_place(std::move(claim), error, what);
}

}  // namespace

CgroupTrial try_directory(const Host& host, const std::string& place) {
  CgroupTrial trial;
  Record record{trial, place};
  auto scratch = ScratchCgroup::make(host, place);
  if (!record.step(record.made(), scratch, false)) return trial;
  enable_each(*scratch, record, trial);
  (void)record.step(record.removed(), scratch->remove());
  return trial;
}

CgroupTrial try_container(const Host& host, const std::string& place, int pid) {
  CgroupTrial trial;
  Record record{trial, place};
  auto scratch = ScratchCgroup::make(host, place);
  if (!record.step(record.made(), scratch, false)) return trial;
  if (const auto controllers = scratch->controllers()) trial.usable = *controllers;
  if (live_and_die(*scratch, record, pid)) (void)record.step(record.removed(), scratch->remove());
  return trial;
}

Finding refused_by_tree(Finding claim, const CgroupTrial& trial, const std::string& what) {
  Finding finding = judge(std::move(claim), *trial.failure, what);
  finding.evidence.insert(finding.evidence.end(), trial.evidence.begin(), trial.evidence.end());
  return finding;
}

Finding verify_place(Trial& trial, const cgroup::Place& place) {
  const CgroupTrial tried = try_directory(trial.subject.host(), place.path);
  if (tried.failure) return refused_by_tree(trial.claim, tried, "a directory in " + place.path);
  const std::string made = "a directory was made in " + place.path + " and removed";
  Finding finding = place.offers_for_containers()
                        ? verified(trial.claim, Status::yes, ReasonCode::available,
                                   made + ", and it offers " + parse::joined(place.controllers))
                        : verified(trial.claim, Status::no, ReasonCode::no_container_controllers,
                                   made + ", but it offers none of cpu, memory, pids");
  finding.evidence.insert(finding.evidence.end(), tried.evidence.begin(), tried.evidence.end());
  return finding;
}

Finding nothing_to_try(const Trial& trial, const std::string& why) {
  Finding claim = trial.claim;
  claim.evidence.push_back(observed("not verified", why));
  return claim;
}

}  // namespace surveyd::probes
