#include "parse/kernel.hpp"

#include <charconv>
#include <string>

namespace surveyd::parse {

std::optional<KernelVersion> kernel_version(std::string_view release) {
  KernelVersion version;
  const char* end = release.data() + release.size();
  const auto first = std::from_chars(release.data(), end, version.first);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, version.second);
  if (second.ec != std::errc{}) return std::nullopt;
  return version;
}

bool lists_module(std::string_view modules_dep, std::string_view name) {
  // "kernel/fs/overlayfs/overlay.ko.xz: …"; the name has to be the whole file name.
  return modules_dep.find("/" + std::string{name} + ".ko") != std::string_view::npos;
}

}  // namespace surveyd::parse
