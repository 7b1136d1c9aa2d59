#include <algorithm>
#include <optional>
#include <utility>

#include "parse/kernel.hpp"
#include "parse/proc_cgroup.hpp"
#include "probes/answer.hpp"
#include "probes/remedies.hpp"
#include "probes/subject.hpp"

namespace surveyd::probes {
namespace {

constexpr parse::KernelVersion since{5, 14};

ReasonCode code_of_hierarchy(const cgroup::Hierarchy& hierarchy) {
  switch (hierarchy.version) {
    case cgroup::Version::hybrid:
      return ReasonCode::hybrid_hierarchy;
    case cgroup::Version::v1:
      return ReasonCode::cgroup_v1;
    default:
      return ReasonCode::cgroup_not_mounted;
  }
}

// Any cgroup below the root shows whether the kernel has the file; the root itself has none
// (CFTYPE_NOT_ON_ROOT). The own one, the root of the own cgroup namespace, or any other.
std::optional<std::string> some_cgroup_below_root(Subject& subject) {
  const Host& host = subject.host();
  const std::string top = cgroup::mount_point;
  if (const auto& text = subject.cgroup_file()) {
    const auto own = parse::cgroup_v2_path(*text);
    const auto relative = own ? cgroup::relative_to_mount(*own, subject.hierarchy().mount_root)
                              : Result<std::string>{std::string{}};
    if (relative && !relative->empty()) {
      std::string path = top + "/" + *relative;
      if (host.stat(path + "/cgroup.type")) return path;
    }
  }
  if (host.stat(top + "/cgroup.type")) return top;
  const auto entries = host.list(top);
  if (!entries) return std::nullopt;
  const auto child = std::find_if(entries->begin(), entries->end(),
                                  [](const DirectoryEntry& entry) { return entry.is_directory; });
  if (child == entries->end()) return std::nullopt;
  return top + "/" + child->name;
}

Finding by_version(const std::string& release) {
  const auto version = parse::kernel_version(release);
  Finding finding =
      !version ? unknown(ReasonCode::unreadable,
                         "no cgroup below the root is there to look for "
                         "cgroup.kill, and " +
                             release + " is no version of a kernel")
      : *version < since
          ? no(ReasonCode::kernel_too_old, "cgroup.kill needs Linux 5.14")
          : yes("Linux has cgroup.kill since 5.14; no cgroup below the root is there to see it");
  finding.evidence.push_back(observed("uname()", release));
  return finding;
}

Finding without_file(const std::string& file, const Error& error, const std::string& release) {
  const auto version = parse::kernel_version(release);
  if (error.code != std::errc::no_such_file_or_directory)
    return unknown(code_of(error), file + " cannot be looked for: " + describe(error));
  if (version && *version < since)
    return no(ReasonCode::kernel_too_old, "cgroup.kill needs Linux 5.14");
  return unknown(ReasonCode::unreadable,
                 file + " is not there, though Linux has cgroup.kill since 5.14");
}

}  // namespace

Finding cgroup_kill(Subject& subject) {
  const cgroup::Hierarchy& hierarchy = subject.hierarchy();
  if (hierarchy.version == cgroup::Version::unknown) {
    Finding finding = unknown(hierarchy.doubt ? code_of(*hierarchy.doubt) : ReasonCode::unreadable,
                              hierarchy.explanation);
    if (hierarchy.doubt)
      finding.evidence.push_back(failed("statfs(/sys/fs/cgroup)", *hierarchy.doubt));
    return finding;
  }
  if (hierarchy.version != cgroup::Version::v2) {
    Finding finding = no(code_of_hierarchy(hierarchy), hierarchy.explanation);
    finding.evidence.push_back(observed(
        "statfs(/sys/fs/cgroup)", "not cgroup2: " + std::string{to_string(hierarchy.version)}));
    if (hierarchy.version != cgroup::Version::none)
      return with_remedy(std::move(finding), boot_with_cgroup2(subject));
    return finding;
  }

  const std::string release = subject.host().kernel_release();
  const auto directory = some_cgroup_below_root(subject);
  if (!directory) return by_version(release);
  const std::string file = *directory + "/cgroup.kill";
  const auto there = subject.host().stat(file);
  if (!there && !subject.host().stat(*directory + "/cgroup.type"))
    return by_version(release);  // removed meanwhile
  Finding finding = there ? yes("cgroups can be killed as a whole: " + file + " is there")
                          : without_file(file, there.error(), release);
  finding.evidence.push_back(there ? observed(file, "present") : failed(file, there.error()));
  if (!there) finding.evidence.push_back(observed("uname()", release));
  return finding;
}

}  // namespace surveyd::probes
