#include "probes/subject.hpp"

#include <linux/capability.h>

#include "parse/kernel.hpp"
#include "parse/os_release.hpp"

namespace surveyd {
namespace {

Result<std::vector<std::string>> read_modules(const Host& host, const std::string& file) {
  const auto text = host.read(file);
  if (!text) return text.error();
  return parse::module_names(*text);
}

}  // namespace

const Result<std::string>& Subject::cgroup_file() {
  if (!cgroup_file_) cgroup_file_ = host_.read("/proc/self/cgroup");
  return *cgroup_file_;
}

const cgroup::Hierarchy& Subject::hierarchy() {
  if (!hierarchy_) hierarchy_ = cgroup::find_hierarchy(host_, mountinfo());
  return *hierarchy_;
}

const cgroup::Namespaces& Subject::namespaces() {
  if (!namespaces_) namespaces_ = cgroup::inspect_namespaces(host_);
  return *namespaces_;
}

const Surroundings& Subject::surroundings() {
  if (!surroundings_) surroundings_ = find_surroundings(host_, namespaces(), cgroup_file());
  return *surroundings_;
}

const std::vector<std::string>& Subject::distributions() {
  if (!distributions_) {
    const auto text = host_.read("/etc/os-release");
    distributions_ = text ? parse::distributions(*text) : std::vector<std::string>{};
  }
  return *distributions_;
}

const Result<std::string>& Subject::mountinfo() {
  if (!mountinfo_) mountinfo_ = host_.read("/proc/self/mountinfo");
  return *mountinfo_;
}

const cgroup::Place& Subject::mount_root() {
  if (!mount_root_) mount_root_ = cgroup::inspect(host_, cgroup::mount_point);
  return *mount_root_;
}

const Result<ContainerParent>& Subject::container_parent() {
  if (!container_parent_) container_parent_ = CgroupTree{host_, plan_}.inspect_container_parent();
  return *container_parent_;
}

const Result<std::vector<std::string>>& Subject::built_in_modules() {
  if (!built_in_modules_) built_in_modules_ = read_modules(host_, module_file("modules.builtin"));
  return *built_in_modules_;
}

const Result<std::vector<std::string>>& Subject::loadable_modules() {
  if (!loadable_modules_) loadable_modules_ = read_modules(host_, module_file("modules.dep"));
  return *loadable_modules_;
}

std::string Subject::module_file(const char* name) const {
  return "/lib/modules/" + host_.kernel_release() + "/" + name;
}

const Result<std::string>& Subject::uid_map() {
  if (!uid_map_) uid_map_ = host_.read("/proc/self/uid_map");
  return *uid_map_;
}

const Result<bool>& Subject::is_admin() {
  if (!is_admin_) is_admin_ = host_.has_capability(CAP_SYS_ADMIN);
  return *is_admin_;
}

const Result<std::string>& Subject::file_systems() {
  if (!file_systems_) file_systems_ = host_.read("/proc/filesystems");
  return *file_systems_;
}

}  // namespace surveyd
