#include <algorithm>
#include <array>

#include <surveyd/container_id.hpp>

namespace surveyd {
namespace {

constexpr std::size_t longest_name = 128;

// Prefixes of the files that the kernel puts into every cgroup directory, present or not.
constexpr std::array<std::string_view, 13> kernel_prefixes = {
    "cgroup.", "cpu.",  "cpuset.", "dmem.",       "freezer.", "hugetlb.", "io.",
    "irq.",    "misc.", "memory.", "perf_event.", "pids.",    "rdma."};

// The C library's isalnum() follows the locale.
constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

constexpr bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
}

}  // namespace

bool is_cgroup_name(std::string_view name) {
  if (name.empty() || name.size() > longest_name || !is_alphanumeric(name.front())) return false;
  if (!std::all_of(name.begin(), name.end(), is_name_character)) return false;
  return std::none_of(kernel_prefixes.begin(), kernel_prefixes.end(),
                      [name](std::string_view prefix) { return name.starts_with(prefix); });
}

Result<ContainerId> ContainerId::parse(std::string_view text) {
  if (is_cgroup_name(text)) return ContainerId{text};
  Error error;
  error.code = Fault::invalid_container_id;
  error.detail =
      "a container id is 1 to 128 letters, digits, '_', '.' or '-', begins with a letter or "
      "digit, and not with the name of a cgroup controller and a dot";
  return error;
}

}  // namespace surveyd
