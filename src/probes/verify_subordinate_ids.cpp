#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>

#include <linux/capability.h>

#include "host/namespace_holder.hpp"
#include "host/program.hpp"
#include "host/real_host.hpp"
#include "parse/accounts.hpp"
#include "parse/id_map.hpp"
#include "parse/subordinate_ids.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/attempts.hpp"
#include "probes/trial.hpp"

namespace surveyd::probes {
namespace {

using namespace std::chrono_literals;
using parse::ids_for_containers;

constexpr auto most_time = 1s;
constexpr std::uint64_t usual_first = 100000;  // where useradd(8) begins to give ranges

struct IdKind {
  const char* ranges;
  const char* map;
  const char* program;
};
constexpr std::array kinds = {IdKind{"/etc/subuid", "uid_map", "newuidmap"},
                              IdKind{"/etc/subgid", "gid_map", "newgidmap"}};

// The largest range of the user who runs this: that is whom newuidmap asks
// about.
std::optional<parse::SubordinateRange> own_range(const Host& host, const char* file) {
  const auto text = host.read(file);
  const auto passwd = host.read("/etc/passwd");
  if (!text || !passwd) return std::nullopt;
  const auto name = parse::user_name(*passwd, host.real_uid());
  const std::string number = std::to_string(host.real_uid());
  std::optional<parse::SubordinateRange> largest;
  for (const auto& range : parse::subordinate_ranges(*text)) {
    const bool is_own = range.owner == number || (name && range.owner == *name);
    if (is_own && (!largest || range.count > largest->count)) largest = range;
  }
  return largest;
}

std::optional<Error> map_by_program(const Host& host, const IdKind& kind,
                                    const parse::SubordinateRange& range,
                                    const NamespaceHolder& holder) {
  const Program program = find_program(host, kind.program);
  if (program.status != Status::yes) return os_error(ENOENT, "PATH", kind.program);
  const std::uint64_t count = std::min(range.count, ids_for_containers);
  const auto done = run_program({program.path, std::to_string(holder.pid()), "0",
                                 std::to_string(range.first), std::to_string(count)},
                                most_time);
  if (!done) return done.error();
  return std::nullopt;
}

// With CAP_SETUID and CAP_SETGID: any ids, as long as they are mapped here.
std::optional<Error> map_by_itself(const IdKind& kind, const NamespaceHolder& holder) {
  RealHost host;
  Result<void> done;
  for (const std::uint64_t first : {usual_first, std::uint64_t{1}}) {
    done = host.write(holder.file(kind.map),
                      "0 " + std::to_string(first) + " " + std::to_string(ids_for_containers));
    if (done) return std::nullopt;
  }
  return done.error();
}

bool maps_by_itself(const Host& host) {
  const auto users = host.has_capability(CAP_SETUID);
  const auto groups = host.has_capability(CAP_SETGID);
  return users && *users && groups && *groups;
}

struct Mapping {
  std::optional<Failure> failure;
  std::vector<Evidence> evidence;
};

void try_map(const Host& host, const IdKind& kind, const NamespaceHolder& holder,
             Mapping& mapping) {
  const bool itself = maps_by_itself(host);
  const auto range = itself ? parse::SubordinateRange{} : own_range(host, kind.ranges);
  auto error = !range   ? os_error(ENOENT, "a range of this user in", kind.ranges)
               : itself ? map_by_itself(kind, holder)
                        : map_by_program(host, kind, *range, holder);
  const auto map = host.read(holder.file(kind.map));
  if (map)
    mapping.evidence.push_back(
        observed(std::string{kind.map} + " of a child", parse::joined(parse::words(*map))));
  bool was_accepted = false;
  if (!error && (!map || parse::mapped_ids(*map) < ids_for_containers)) {
    was_accepted = true;
    error = Error{.code = Fault::not_read_back, .op = "read", .path = kind.map};
  }
  if (!error) return;
  mapping.evidence.push_back(evidence_of("tried", *error));
  mapping.failure = Failure{*error, was_accepted};
}

// A program that gets no privileges from its file is stopped by the kernel as
// anybody would be.
bool lacks_privileges(const Failure& failure) {
  return failure.error.code == Fault::program_failed &&
         failure.error.detail.find("Operation not permitted") != std::string::npos;
}

}  // namespace

Finding verify_subordinate_ids(Trial& trial) {
  const Host& host = trial.subject.host();
  // Without ranges or programs there is nothing to try.
  const bool by_program = !maps_by_itself(host);
  if (by_program && trial.claim.status == Status::no &&
      trial.claim.code != ReasonCode::program_unprivileged)
    return trial.claim;
  const std::string what = "a map of 65536 ids";
  const auto holder = NamespaceHolder::make(0, NamespaceHolder::Ids::unmapped);
  if (!holder) {
    Finding finding = refused(trial.claim, host, {holder.error(), false}, what);
    finding.evidence.push_back(evidence_of("tried", holder.error()));
    return finding;
  }
  Mapping mapping;
  for (const IdKind& kind : kinds)
    if (!mapping.failure) try_map(host, kind, *holder, mapping);
  Finding finding = mapping.failure
                        ? refused(trial.claim, host, *mapping.failure, what)
                        : verified(trial.claim, Status::yes, ReasonCode::available,
                                   "a child's user namespace got 65536 user and group ids");
  if (by_program && mapping.failure && lacks_privileges(*mapping.failure))
    finding.code = ReasonCode::program_unprivileged;
  finding.evidence.insert(finding.evidence.end(), mapping.evidence.begin(), mapping.evidence.end());
  return finding;
}

}  // namespace surveyd::probes
