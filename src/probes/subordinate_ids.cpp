#include "parse/subordinate_ids.hpp"

#include <algorithm>
#include <array>

#include <linux/capability.h>

#include "parse/accounts.hpp"
#include "parse/file_capabilities.hpp"
#include "parse/id_map.hpp"
#include "parse/words.hpp"
#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

using parse::ids_for_containers;

struct IdKind {
  const char* file;
  const char* map;
  const char* program;
  int capability;
  const char* capability_name;
};
constexpr std::array kinds = {
    IdKind{"/etc/subuid", "/proc/self/uid_map", "newuidmap", CAP_SETUID, "CAP_SETUID"},
    IdKind{"/etc/subgid", "/proc/self/gid_map", "newgidmap", CAP_SETGID, "CAP_SETGID"}};

// Whoever has these maps ids without any program and any range: user_namespaces(7).
bool maps_by_itself(const Host& host, Inquiry& inquiry) {
  for (const IdKind& kind : kinds) {
    const auto held = host.has_capability(kind.capability);
    inquiry.saw(held ? observed(std::string{"capget(): "} + kind.capability_name,
                                *held ? "effective" : "not effective")
                     : failed("capget()", held.error()));
    if (!held || !*held) return false;
  }
  return true;
}

// In a user namespace only those can be mapped again that are mapped there.
void ask_maps(const Host& host, Inquiry& inquiry) {
  for (const IdKind& kind : kinds) {
    const auto map = host.read(kind.map);
    if (!map) {
      inquiry.saw(failed(kind.map, map.error()));
      inquiry.unknown(ReasonCode::unreadable,
                      std::string{kind.map} + " cannot be read: " + describe(map.error()));
      continue;
    }
    const auto mapped = parse::mapped_ids(*map);
    inquiry.saw(observed(kind.map, parse::joined(parse::words(*map))));
    if (parse::trimmed(*map).empty())
      inquiry.unknown(ReasonCode::unreadable, std::string{kind.map} + " is empty: masked");
    else if (mapped < ids_for_containers)
      inquiry.no(ReasonCode::too_few_subordinate_ids,
                 std::string{kind.map} + " maps only " + std::to_string(mapped) + " ids, of " +
                     std::to_string(ids_for_containers) + " that containers need",
                 Remedy{"Start this container with a mapping of at least 65536 ids.", {}});
  }
}

// "files" is the default; anything else, as sssd, is asked over a library (libsubid).
void ask_name_service(const Host& host, Inquiry& inquiry) {
  constexpr const char* path = "/etc/nsswitch.conf";
  const auto text = host.read(path);
  if (!text) {
    if (errno_name(text.error().code) == "ENOENT") return;
    inquiry.saw(failed(path, text.error()));
    return inquiry.unknown(ReasonCode::unreadable,
                           std::string{path} + " cannot be read: " + describe(text.error()));
  }
  const auto services = parse::name_services(*text, "subid");
  if (!services || *services == std::vector<std::string>{"files"}) return;
  inquiry.saw(observed(path, "subid: " + parse::joined(*services)));
  inquiry.unknown(ReasonCode::unreadable,
                  "subordinate ids come from " + parse::joined(*services) +
                      " and not from /etc/subuid: see subid in /etc/nsswitch.conf");
}

std::optional<std::string> name_of_user(const Host& host, unsigned uid, Inquiry& inquiry) {
  const auto passwd = host.read("/etc/passwd");
  if (!passwd) {
    inquiry.saw(failed("/etc/passwd", passwd.error()));
    inquiry.unknown(ReasonCode::unreadable,
                    "/etc/passwd cannot be read: " + describe(passwd.error()));
    return std::nullopt;
  }
  auto name = parse::user_name(*passwd, uid);
  const std::string source = "/etc/passwd: " + std::to_string(uid);
  inquiry.saw(observed(source, name.value_or("no such user")));
  // newuidmap looks the name up and refuses to work without one.
  if (!name)
    inquiry.unknown(
        ReasonCode::unreadable,
        "user " + std::to_string(uid) + " is not in /etc/passwd, and another service may know it");
  return name;
}

// For both kinds the same, as people expect.
std::optional<Remedy> add_range(const std::string& user,
                                const std::vector<parse::SubordinateRange>& taken) {
  const auto first = parse::free_range(taken);
  if (!first) return std::nullopt;
  const std::string range =
      std::to_string(*first) + "-" + std::to_string(*first + ids_for_containers - 1);
  return Remedy{"Give " + user + " the subordinate ids " + range + ".",
                "touch /etc/subuid /etc/subgid && usermod --add-subuids " + range +
                    " --add-subgids " + range + " " + user};
}

void ask_ranges(const Host& host, Inquiry& inquiry) {
  const unsigned uid = host.real_uid();  // as newuidmap does
  const auto name = name_of_user(host, uid, inquiry);
  std::vector<parse::SubordinateRange> taken;
  std::string few;
  bool none = false;
  for (const IdKind& kind : kinds) {
    const auto text = host.read(kind.file);
    if (!text && errno_name(text.error().code) != "ENOENT") {
      inquiry.saw(failed(kind.file, text.error()));
      return inquiry.unknown(ReasonCode::unreadable,
                             std::string{kind.file} + " cannot be read: " + describe(text.error()));
    }
    const auto ranges = parse::subordinate_ranges(text ? *text : std::string{});
    taken.insert(taken.end(), ranges.begin(), ranges.end());
    const auto count = parse::ids_of(ranges, name, uid);
    inquiry.saw(text ? observed(kind.file, std::to_string(count) + " ids")
                     : failed(kind.file, text.error()));
    if (count >= ids_for_containers) continue;
    none = none || count == 0;
    few += (few.empty() ? "" : " and ") + std::to_string(count) + " in " + kind.file;
  }
  if (few.empty() || !name) return;
  inquiry.no(none ? ReasonCode::no_subordinate_ids : ReasonCode::too_few_subordinate_ids,
             *name + " has too few ids of the 65536 that containers need: " + few,
             add_range(*name, taken));
}

// exec(2) grants nothing from a file on a nosuid mount.
void ask_mount(const Host& host, const IdKind& kind, const std::string& path, Inquiry& inquiry) {
  const auto mount = host.file_system(path);
  if (!mount) {
    inquiry.saw(failed("statfs(" + path + ")", mount.error()));
    inquiry.unknown(ReasonCode::unreadable,
                    "the mount of " + path + " cannot be seen: " + describe(mount.error()));
  } else if (mount->no_suid) {
    inquiry.saw(observed("statfs(" + path + ")", "nosuid"));
    inquiry.no(
        ReasonCode::program_unprivileged, path + " lies on a mount with nosuid",
        Remedy{std::string{"Mount the file system of "} + kind.program + " without nosuid.", {}});
  }
}

void ask_program(const Host& host, const IdKind& kind, const std::string& path, Inquiry& inquiry) {
  const auto info = host.stat(path);
  if (!info) {
    inquiry.saw(failed(path, info.error()));
    return inquiry.unknown(ReasonCode::unreadable,
                           path + " cannot be seen: " + describe(info.error()));
  }
  const bool set_user_id = (info->mode & 04000) != 0 && info->owner == 0;
  const auto attribute = host.attribute(path, "security.capability");
  const auto capabilities =
      attribute ? parse::file_capabilities(*attribute) : std::optional<parse::FileCapabilities>{};
  // Another root than that of the reader's user namespace gets nothing here.
  const bool by_file =
      capabilities && capabilities->root == 0 && capabilities->gives(kind.capability);
  inquiry.saw(observed(path, set_user_id ? "set-user-ID root"
                             : by_file   ? std::string{"file capability "} + kind.capability_name
                                         : "no privileges"));
  if (set_user_id || by_file) return ask_mount(host, kind, path, inquiry);
  if (!attribute && meaning_of(attribute.error()) == Status::unknown)
    return inquiry.unknown(
        code_of(attribute.error()),
        "the file capabilities of " + path + " cannot be read: " + describe(attribute.error()));
  inquiry.no(
      ReasonCode::program_unprivileged,
      path + " is neither set-user-ID root nor has the file capability " + kind.capability_name,
      Remedy{"Make " + path + " set-user-ID root.",
             "chown root:root " + path + " && chmod u+s " + path});
}

void ask_programs(const Host& host, Inquiry& inquiry) {
  std::string missing;
  for (const IdKind& kind : kinds) {
    const Program program = find_program(host, kind.program);
    if (program.status == Status::yes) {
      ask_program(host, kind, program.path, inquiry);
      continue;
    }
    inquiry.saw(observed(std::string{"PATH: "} + kind.program, shown(program)));
    if (program.status == Status::unknown)
      inquiry.unknown(ReasonCode::unreadable,
                      std::string{"PATH cannot be searched for "} + kind.program);
    else
      missing += (missing.empty() ? "" : " and ") + std::string{kind.program};
  }
  if (!missing.empty())
    inquiry.no(ReasonCode::program_missing, "not on PATH: " + missing,
               Remedy{"Install the package uidmap (elsewhere than on Debian: shadow-utils).",
                      "apt-get install -y uidmap"});
}

// What takes the privileges of those programs away from whoever this process starts.
void ask_process(const Host& host, Inquiry& inquiry) {
  const auto no_new_privileges = host.no_new_privileges();
  if (!no_new_privileges) {
    inquiry.saw(failed("prctl(PR_GET_NO_NEW_PRIVS)", no_new_privileges.error()));
    inquiry.unknown(ReasonCode::unreadable,
                    "no_new_privs cannot be read: " + describe(no_new_privileges.error()));
  } else if (*no_new_privileges) {
    inquiry.saw(observed("prctl(PR_GET_NO_NEW_PRIVS)", "1"));
    inquiry.no(ReasonCode::program_unprivileged,
               "no_new_privs is set, so that newuidmap runs without privileges",
               Remedy{"Start surveyd without it: NoNewPrivileges=no in its unit, and none of the "
                      "settings that imply it; --security-opt no-new-privileges=false for its "
                      "container.",
                      {}});
  }
  for (const IdKind& kind : kinds) {
    const auto bounded = host.has_capability(kind.capability, CapabilitySet::bounding);
    if (!bounded || *bounded) continue;
    inquiry.saw(observed("prctl(PR_CAPBSET_READ)", std::string{kind.capability_name} + " not set"));
    inquiry.no(ReasonCode::capability_missing,
               std::string{kind.capability_name} + " is not in the bounding set, so that " +
                   kind.program + " cannot get it",
               Remedy{std::string{"Leave "} + kind.capability_name +
                          " in the bounding set: CapabilityBoundingSet= of the unit, --cap-add= of "
                          "the container.",
                      {}});
  }
}

}  // namespace

// Root needs no range: with CAP_SETUID and CAP_SETGID it maps whatever ids there are.
Finding subordinate_ids(Subject& subject) {
  const Host& host = subject.host();
  Inquiry inquiry;
  if (maps_by_itself(host, inquiry)) {
    ask_maps(host, inquiry);
    return inquiry.conclude("CAP_SETUID and CAP_SETGID map ids without any range");
  }
  ask_name_service(host, inquiry);
  ask_ranges(host, inquiry);
  ask_programs(host, inquiry);
  ask_process(host, inquiry);
  return inquiry.conclude("at least 65536 user and group ids, and the programs that map them");
}

}  // namespace surveyd::probes
