#include <string>

#include "host/mounts.hpp"
#include "host/namespace_holder.hpp"
#include "host/real_host.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

// A namespace in which what we own belongs to the next uid and gid.
Result<NamespaceHolder> shifted_namespace(const FileInfo& ours) {
  auto holder = NamespaceHolder::make(0, NamespaceHolder::Ids::unmapped);
  if (!holder) return holder;
  RealHost host;
  const auto to_next = [](unsigned id) {
    return std::to_string(id) + " " + std::to_string(id + 1) + " 1";
  };
  if (auto done = host.write(holder->file("uid_map"), to_next(ours.owner)); !done)
    return done.error();
  if (auto done = host.write(holder->file("gid_map"), to_next(ours.group)); !done)
    return done.error();
  return holder;
}

std::optional<Failure> try_idmap(const std::string& directory) {
  const auto ours = RealHost{}.stat(directory);
  if (!ours) return Failure{ours.error(), false};
  const auto holder = shifted_namespace(*ours);
  if (!holder) return Failure{holder.error(), false};
  const auto users = holder->open_namespace("user");
  if (!users) return Failure{users.error(), false};
  const auto seen = stat_through_idmap(directory, users->get());
  if (!seen) return Failure{seen.error(), false};
  if (seen->owner == ours->owner + 1 && seen->group == ours->group + 1) return std::nullopt;
  Error error{.code = Fault::not_read_back, .op = "the owner seen through it", .path = directory};
  return Failure{error, true};
}

}  // namespace

Finding verify_idmapped_mounts(Trial& trial) {
  const Host& host = trial.subject.host();
  const std::string what = "a mount of the storage path with an id map";
  if (!trial.scratch) return without_scratch(trial, what);
  const auto failure = try_idmap(*trial.scratch);
  if (failure && failure->error.path.ends_with("id_map")) {
    // Who may not write such a map may still be given one.
    Finding claim = trial.claim;
    claim.evidence.push_back(evidence_of("not verified", failure->error));
    return claim;
  }
  Finding finding = failure ? refused(trial.claim, host, *failure, what)
                            : verified(trial.claim, Status::yes, ReasonCode::available,
                                       what + " works and shows other owners");
  finding.evidence.push_back(failure ? evidence_of("tried", failure->error)
                                     : observed("mount_setattr(MOUNT_ATTR_IDMAP)", "works"));
  if (failure && failure->error.op.starts_with("mount_setattr") &&
      failure->error.code == std::errc::invalid_argument)
    finding.code = ReasonCode::storage_unsuitable;
  return finding;
}

}  // namespace surveyd::probes
