#include "parse/kernel.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "parse/words.hpp"

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

std::vector<std::string> module_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    // "kernel/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz": what it depends on is
    // listed on lines of its own.
    const std::string_view line = list.substr(0, list.find('\n'));
    list.remove_prefix(std::min(line.size() + 1, list.size()));
    std::string_view file = line.substr(0, line.find(':'));
    file.remove_prefix(file.rfind('/') + 1);
    const auto suffix = file.find(".ko");
    if (suffix == std::string_view::npos || suffix == 0) continue;
    const std::string_view compression = trimmed(file.substr(suffix + 3));
    if (!compression.empty() && !compression.starts_with('.')) continue;
    std::string& name = names.emplace_back(file.substr(0, suffix));
    std::replace(name.begin(), name.end(), '-', '_');
  }
  return names;
}

bool has_cpu_feature(std::string_view modalias, unsigned feature) {
  // "cpu:type:x86,ven0000fam0006mod008F:feature:,0000,0001,…": hexadecimal, between commas.
  constexpr std::string_view heading = ":feature:,";
  const auto begin = modalias.find(heading);
  if (begin == std::string_view::npos) return false;
  std::string_view rest = trimmed(modalias.substr(begin + heading.size()));
  while (!rest.empty()) {
    const std::string_view digits = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(digits.size() + 1, rest.size()));
    unsigned number = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number, 16);
    if (error == std::errc{} && stop == end && number == feature) return true;
  }
  return false;
}

bool lists_misc_device(std::string_view misc, unsigned minor, std::string_view name) {
  for (const std::string_view line : lines(misc))
    if (words(line) == std::vector<std::string>{std::to_string(minor), std::string{name}})
      return true;
  return false;
}

}  // namespace surveyd::parse
