#include "probes/subject.hpp"

#include "parse/os_release.hpp"

namespace surveyd {

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

const Result<std::string>& Subject::uid_map() {
  if (!uid_map_) uid_map_ = host_.read("/proc/self/uid_map");
  return *uid_map_;
}

const Result<std::string>& Subject::file_systems() {
  if (!file_systems_) file_systems_ = host_.read("/proc/filesystems");
  return *file_systems_;
}

}  // namespace surveyd
