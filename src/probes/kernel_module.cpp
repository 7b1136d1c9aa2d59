#include "probes/kernel_module.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "parse/words.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* modules_disabled = "/proc/sys/kernel/modules_disabled";

// The question with what has been found out so far.
struct Inquiry {
  Subject& subject;
  const KernelModule& module;
  std::vector<Evidence> evidence{};
  std::optional<Error> obstacle{};  // why the last word is missing; an own mishap before all else

  [[nodiscard]] std::string feature() const { return module.feature; }

  void doubt(const Error& error) {
    if (!obstacle || is_inconclusive(error.code)) obstacle = error;
  }

  Finding conclude(Finding finding) {
    finding.evidence = std::move(evidence);
    return finding;
  }
};

// A built-in module is there only when it has parameters or a version, so its absence says nothing.
bool is_present(Inquiry& inquiry) {
  const std::string path = std::string{"/sys/module/"} + inquiry.module.name;
  const auto directory = inquiry.subject.host().stat(path);
  const bool present = directory && directory->kind == FileKind::directory;
  inquiry.evidence.push_back(directory ? observed(path, present ? "present" : "not a directory")
                                       : failed(path, directory.error()));
  if (!directory && directory.error().code != std::errc::no_such_file_or_directory)
    inquiry.doubt(directory.error());
  return present;
}

bool is_in(Inquiry& inquiry, const char* file, const Result<std::vector<std::string>>& names) {
  const std::string path = inquiry.subject.module_file(file);
  if (!names) {
    // A container does not see its host's modules, which the host may still load for it.
    inquiry.evidence.push_back(failed(path, names.error()));
    inquiry.doubt(names.error());
    return false;
  }
  const bool listed = std::find(names->begin(), names->end(), inquiry.module.name) != names->end();
  inquiry.evidence.push_back(
      observed(path, (listed ? "" : "no ") + std::string{inquiry.module.name}));
  return listed;
}

// The kernel loads rtnl-link-<kind> and nfnetlink-subsys-<number> for whoever has CAP_NET_ADMIN
// over any network namespace (net/core/rtnetlink.c, net/netfilter/nfnetlink.c), CAP_SYS_MODULE or
// not. Its modprobe runs outside of all containers.
Finding loadable(Inquiry& inquiry) {
  const auto disabled = inquiry.subject.host().read(modules_disabled);
  if (!disabled) {
    inquiry.evidence.push_back(failed(modules_disabled, disabled.error()));
    return inquiry.conclude(unknown(
        code_of(disabled.error()),
        inquiry.feature() + " is a module, and " + modules_disabled +
            " does not say whether the kernel still loads any: " + describe(disabled.error())));
  }
  const std::string setting{parse::trimmed(*disabled)};
  inquiry.evidence.push_back(observed(modules_disabled, setting));
  if (setting == "0")
    return inquiry.conclude(
        yes(ReasonCode::loadable, inquiry.feature() + " is a module that the kernel loads when " +
                                      inquiry.module.use +
                                      ", which takes CAP_NET_ADMIN over a network namespace"));
  const std::string name = inquiry.module.name;
  return inquiry.conclude(with_remedy(
      no(ReasonCode::disabled_by_sysctl, inquiry.feature() +
                                             " is a module that is not loaded, and "
                                             "kernel.modules_disabled is " +
                                             setting +
                                             ": the kernel loads none until the next boot"),
      "Have the module loaded at boot, before kernel.modules_disabled is set, and boot again",
      "echo " + name + " > /etc/modules-load.d/" + name + ".conf"));
}

Finding absent(Inquiry& inquiry) {
  const auto [major, minor] = inquiry.module.since;
  const auto version = parse::kernel_version(inquiry.subject.host().kernel_release());
  if (version && *version < inquiry.module.since)
    return inquiry.conclude(
        no(ReasonCode::kernel_too_old, "the running kernel has no " + inquiry.feature() +
                                           ", which came with Linux " + std::to_string(major) +
                                           "." + std::to_string(minor)));
  return inquiry.conclude(
      no(ReasonCode::kernel_lacks,
         "the running kernel has no " + inquiry.feature() + ", built in or as a module"));
}

}  // namespace

Finding kernel_module(Subject& subject, const KernelModule& module) {
  Inquiry inquiry{subject, module};
  if (is_present(inquiry) || is_in(inquiry, "modules.builtin", subject.built_in_modules()))
    return inquiry.conclude(yes("the kernel has " + inquiry.feature()));
  if (is_in(inquiry, "modules.dep", subject.loadable_modules())) return loadable(inquiry);
  if (!inquiry.obstacle) return absent(inquiry);
  const Error& error = *inquiry.obstacle;
  return inquiry.conclude(
      unknown(code_of(error), "it cannot be seen from here whether the kernel has " +
                                  inquiry.feature() + " (" + error.path + ": " + describe(error) +
                                  "); a verification finds out"));
}

}  // namespace surveyd::probes
