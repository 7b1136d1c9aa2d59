#include "parse/systemd_unit.hpp"

namespace surveyd::parse {
namespace {

// systemd.unit(5), and at most 255 characters.
bool is_unit_name(std::string_view name) {
  constexpr std::string_view allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@";
  return name.size() < 256 && name.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_unit(std::string_view name) {
  return (name.ends_with(".service") && name != ".service") ||
         (name.ends_with(".scope") && name != ".scope");
}

// Takes the first directory off that is no slice.
std::string_view take_below_slices(std::string_view& path) {
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    if (!name.ends_with(".slice")) return name;
  }
  return {};
}

}  // namespace

std::optional<SystemdUnit> systemd_unit(std::string_view cgroup_path) {
  std::string_view name = take_below_slices(cgroup_path);
  if (!is_unit(name) || !is_unit_name(name)) return std::nullopt;
  if (!name.starts_with("user@")) return SystemdUnit{std::string{name}};
  const std::string_view inner = take_below_slices(cgroup_path);
  if (inner.empty()) return SystemdUnit{std::string{name}};
  if (!is_unit(inner) || !is_unit_name(inner)) return std::nullopt;
  return SystemdUnit{std::string{inner}, true};
}

}  // namespace surveyd::parse
