#include "parse/proc_cgroup.hpp"

#include "parse/words.hpp"

namespace surveyd::parse {

std::optional<std::string> cgroup_v2_path(std::string_view text) {
  for (std::string_view line : lines(text))
    if (line.starts_with("0::")) {
      const std::string_view path = trimmed(line.substr(3));
      return path.empty() ? std::nullopt : std::optional{std::string{path}};
    }
  return std::nullopt;
}

CgroupPathTraits cgroup_path_traits(std::string_view path) {
  return {.is_root = path == "/",
          .outside_namespace = path == "/.." || path.starts_with("/../"),
          .deleted = path.ends_with(" (deleted)")};
}

}  // namespace surveyd::parse
