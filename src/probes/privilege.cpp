#include "probes/privilege.hpp"

#include <algorithm>

#include "probes/answer.hpp"

namespace surveyd::probes {
namespace {

// Of the user namespace alone; the others do not matter to capabilities.
Status in_initial_user_namespace(Subject& subject) {
  const cgroup::Namespaces& namespaces = subject.namespaces();
  if (std::find(namespaces.own.begin(), namespaces.own.end(), "user") != namespaces.own.end())
    return Status::no;
  for (const auto& [path, error] : namespaces.unreadable)
    if (path.ends_with("/user")) return Status::unknown;
  return Status::yes;
}

Remedy leave_user_namespace() {
  return {"Run surveyd as root of the host, outside of the user namespace.", {}};
}

Remedy grant(const std::string& name) {
  return {"Run surveyd as root of the host; or give it the capability: AmbientCapabilities=" +
              name + " in its unit, --cap-add=" + name.substr(4) + " for its container.",
          {}};
}

}  // namespace

Privilege privilege_of(Subject& subject, int capability, const std::string& name,
                       Inquiry& inquiry) {
  Privilege privilege;
  const auto held = subject.host().has_capability(capability);
  if (!held) {
    inquiry.saw(failed("capget(): " + name, held.error()));
    privilege.code = ReasonCode::unreadable;
    privilege.lack = "the capability sets cannot be read: " + describe(held.error());
    return privilege;
  }
  inquiry.saw(observed("capget(): " + name, *held ? "effective" : "not effective"));
  if (!*held) {
    privilege.effective = privilege.over_machine = Status::no;
    privilege.code = ReasonCode::capability_missing;
    privilege.lack = name + " is not in the effective set";
    privilege.remedy =
        in_initial_user_namespace(subject) == Status::no ? leave_user_namespace() : grant(name);
    return privilege;
  }
  privilege.effective = Status::yes;
  privilege.over_machine = in_initial_user_namespace(subject);
  if (privilege.over_machine == Status::no) {
    privilege.code = ReasonCode::capability_missing;
    privilege.lack =
        name + " is effective only in a user namespace of its own, not in the initial one";
    privilege.remedy = leave_user_namespace();
  } else if (privilege.over_machine == Status::unknown) {
    privilege.code = ReasonCode::unreadable;
    privilege.lack = "it cannot be seen whether " + name + " counts in the initial user namespace";
  }
  return privilege;
}

bool require(const Privilege& privilege, Inquiry& inquiry) {
  if (privilege.over_machine == Status::no)
    inquiry.no(privilege.code, privilege.lack, privilege.remedy);
  else if (privilege.over_machine == Status::unknown)
    inquiry.unknown(privilege.code, privilege.lack, privilege.remedy);
  return privilege.over_machine == Status::yes;
}

}  // namespace surveyd::probes
