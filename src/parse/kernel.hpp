#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace surveyd::parse {

/// Major and minor.
using KernelVersion = std::pair<unsigned, unsigned>;

/// From the release that uname(2) gives: "6.1.0-18-amd64" is 6.1.
[[nodiscard]] std::optional<KernelVersion> kernel_version(std::string_view release);

/// The modules that the text of a `modules.dep` or `modules.builtin` lists, compressed or not, in
/// its order. `-` in a file's name is `_` in the module's: to modprobe and to the kernel both are
/// one.
[[nodiscard]] std::vector<std::string> module_names(std::string_view list);

/// Whether a processor has a feature, from the text of `/sys/devices/system/cpu/modalias`; the
/// number is that of arch/x86/include/asm/cpufeatures.h.
[[nodiscard]] bool has_cpu_feature(std::string_view modalias, unsigned feature);

/// Whether the text of `/proc/misc` has a driver of this minor number and name.
[[nodiscard]] bool lists_misc_device(std::string_view misc, unsigned minor, std::string_view name);

}  // namespace surveyd::parse
