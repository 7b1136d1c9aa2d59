#include "probes/surroundings.hpp"

#include <array>

#include "parse/proc_cgroup.hpp"

namespace surveyd {
namespace {

struct Marker {
  const char* path;
  const char* runtime;
};

// Images and machines carry stray ones.
constexpr std::array<Marker, 3> known_markers = {
    {{"/run/.containerenv", "podman"}, {"/.dockerenv", "docker"}, {"/run/systemd/container", ""}}};

// OVERLAYFS_SUPER_MAGIC of linux/magic.h: what podman and docker make a root file system of.
constexpr std::uint64_t overlayfs_magic = 0x794c7630;

}  // namespace

Surroundings find_surroundings(const Host& host, const cgroup::Namespaces& namespaces,
                               const Result<std::string>& cgroup_file) {
  Surroundings result;
  bool marked = false;
  for (const Marker& marker : known_markers) {
    const auto info = host.stat(marker.path);
    if (info && result.runtime.empty()) result.runtime = marker.runtime;
    marked = marked || info.has_value();
    result.markers.emplace_back(marker.path, info ? std::nullopt : std::optional{info.error()});
  }
  result.systemd = host.stat("/run/systemd/system").has_value();
  result.container = !namespaces.own.empty();
  // A privileged one can have the host's namespaces. Then a marker counts only beside another sign.
  if (!result.container && marked) {
    const auto root = host.file_system("/");
    result.container = root && root->magic == overlayfs_magic;
  }
  if (result.container) return result;
  result.runtime.clear();
  if (cgroup_file)
    if (const auto path = parse::cgroup_v2_path(*cgroup_file))
      result.unit = parse::systemd_unit(*path);
  return result;
}

}  // namespace surveyd
