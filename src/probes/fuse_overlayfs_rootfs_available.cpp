#include "probes/answer.hpp"
#include "probes/remedies.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* device_path = "/dev/fuse";
constexpr unsigned set_user_id = 04000;

Program fusermount_binary(const Host& host) {
  Program newer = find_program(host, "fusermount3");
  if (newer.status == Status::yes) return newer;
  Program older = find_program(host, "fusermount");
  if (older.status == Status::no) {
    older.status = newer.status;
    older.code = newer.code;
  }
  return older;
}

/// What has to hold, and what helps where it does not.
class Needs {
 public:
  // One clear no decides, whatever else is unknown; the first one gives its code.
  void add(Status status, ReasonCode code, const std::string& otherwise) {
    if (status == Status::yes) return;
    finding.reason += (finding.reason.empty() ? "" : "; ") + otherwise;
    if (finding.status == Status::no || finding.status == status) return;
    if (finding.status == Status::unknown && status != Status::no) return;
    finding.status = status;
    finding.code = code;
  }
  // Pasted as one line, or not at all.
  void helps(const std::optional<Remedy>& remedy) {
    if (!remedy) return;
    if (!finding.remedy) {
      finding.remedy = remedy;
      return;
    }
    Remedy& all = *finding.remedy;
    all.text += " " + remedy->text;
    const bool whole = !all.command.empty() && !remedy->command.empty();
    all.command = whole ? all.command + " && " + remedy->command : std::string{};
  }

  Finding finding = yes("");
};

std::string packages(const Program& program, const Program& fusermount) {
  std::string names;
  if (program.status == Status::no) names = "fuse-overlayfs";
  if (fusermount.status == Status::no) names += std::string{names.empty() ? "" : " "} + "fuse3";
  return names;
}

// An ordinary user mounts through fusermount, which is nothing without root's rights.
void consider_privileges(Subject& subject, const std::string& fusermount, Finding& finding) {
  const Host& host = subject.host();
  const auto& admin = subject.is_admin();
  if (!admin || *admin) return;
  const auto refuse = [&](const std::string& why, std::optional<Remedy> remedy) {
    finding.code = ReasonCode::program_unprivileged;
    finding.reason += ", but " + why + ": a mount works in an own user namespace only";
    finding.remedy = std::move(remedy);
  };
  const auto no_new = host.no_new_privileges();
  if (no_new)
    finding.evidence.push_back(observed("prctl(PR_GET_NO_NEW_PRIVS)", *no_new ? "1" : "0"));
  const auto info = host.stat(fusermount);
  const bool by_owner = info && (info->mode & set_user_id) != 0 && info->owner == 0;
  const auto capabilities = host.attribute(fusermount, "security.capability");
  finding.evidence.push_back(observed(fusermount, by_owner       ? "set-user-ID root"
                                                  : capabilities ? "file capabilities"
                                                                 : "unprivileged"));
  const auto file_system = host.file_system(fusermount);
  if (no_new && *no_new)
    refuse("no_new_privileges is set, so that fusermount gets no rights",
           change_service(subject, "privileges", "Let the service run set-user-ID programs.",
                          "NoNewPrivileges=no"));
  else if (file_system && file_system->no_suid)
    refuse(fusermount + " lies on a mount with nosuid", std::nullopt);
  else if (info && !by_owner && !capabilities)
    refuse(fusermount + " is not set-user-ID root",
           subject.surroundings().container
               ? std::nullopt
               : std::optional{Remedy{"Make it set-user-ID root, as its package does.",
                                      "chmod u+s '" + fusermount + "'"}});
}

}  // namespace

// The value is the path of fusermount, which is of use even where the rest is missing.
Finding fuse_overlayfs_rootfs_available(Subject& subject) {
  const Host& host = subject.host();
  const auto device = host.try_open(device_path);
  const Program program = find_program(host, "fuse-overlayfs");
  const Program fusermount = fusermount_binary(host);

  Needs needs;
  if (!device) {
    const Error& error = device.error();
    needs.add(meaning_of(error), code_of_device(error),
              "/dev/fuse does not open: " + describe(error));
    needs.helps(provide_device(subject, device_path, "fuse", 10, 229, error));
  }
  needs.add(program.status, program.code,
            program.status == Status::no ? "fuse-overlayfs is not on PATH"
                                         : "PATH cannot be searched for fuse-overlayfs");
  needs.add(fusermount.status, fusermount.code,
            fusermount.status == Status::no ? "neither fusermount3 nor fusermount is on PATH"
                                            : "PATH cannot be searched for fusermount3");
  if (const std::string names = packages(program, fusermount); !names.empty())
    needs.helps(install(subject, names, names));

  Finding& finding = needs.finding;
  finding.value = fusermount.path;
  finding.evidence = {device ? observed("open(/dev/fuse, O_RDWR)", "opened")
                             : failed("open(/dev/fuse, O_RDWR)", device.error()),
                      observed("PATH: fuse-overlayfs", shown(program)),
                      observed("PATH: fusermount3, fusermount", shown(fusermount))};
  if (finding.status == Status::yes) {
    finding.reason = "/dev/fuse opens, fuse-overlayfs and " + fusermount.path + " are there";
    consider_privileges(subject, fusermount.path, finding);
  }
  return finding;
}

}  // namespace surveyd::probes
