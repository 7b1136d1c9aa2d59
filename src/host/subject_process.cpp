#include "host/subject_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/device_rules.hpp"
#include "host/real_host.hpp"
#include "host/socket_owner.hpp"
#include "parse/id_map.hpp"
#include "parse/words.hpp"

namespace surveyd {
namespace {

struct NamespaceKind {
  const char* path;  ///< below /proc/<pid>
  int type;          ///< 0: not entered
};
// The user namespace last: see join(). A pid namespace holds for children only.
constexpr std::array<NamespaceKind, 8> kinds = {{{"ns/cgroup", CLONE_NEWCGROUP},
                                                 {"ns/ipc", CLONE_NEWIPC},
                                                 {"ns/uts", CLONE_NEWUTS},
                                                 {"ns/net", CLONE_NEWNET},
                                                 {"ns/mnt", CLONE_NEWNS},
                                                 {"ns/user", CLONE_NEWUSER},
                                                 {"ns/pid", 0},
                                                 {"ns/time", 0}}};

constexpr std::array own_view_files = {"cgroup",  "mountinfo", "status", "uid_map",
                                       "gid_map", "setgroups", "limits"};

constexpr ino_t initial_user_namespace = 0xEFFFFFFD;  // include/linux/proc_ns.h

std::string name_of(int error_number) {
  return errno_name({error_number, std::generic_category()});
}

struct CapabilitySets {
  __user_cap_data_struct half[2] = {};

  static std::uint64_t join(__u32 low, __u32 high) {
    return (static_cast<std::uint64_t>(high) << 32U) | low;
  }
  [[nodiscard]] bool get() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return ::syscall(SYS_capget, &header, half) == 0;
  }
  [[nodiscard]] bool set() const {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return ::syscall(SYS_capset, &header, half) == 0;
  }
  void inheritable(std::uint64_t set) { split(set, &__user_cap_data_struct::inheritable); }
  void permitted(std::uint64_t set) { split(set, &__user_cap_data_struct::permitted); }
  void effective(std::uint64_t set) { split(set, &__user_cap_data_struct::effective); }

 private:
  void split(std::uint64_t set, __u32 __user_cap_data_struct::*member) {
    half[0].*member = static_cast<__u32>(set);
    half[1].*member = static_cast<__u32>(set >> 32U);
  }
};

class TakingPlace {
 public:
  explicit TakingPlace(const PinnedProcess& process)
      : process_(process), own_(::open("/proc/self", O_DIRECTORY | O_CLOEXEC)) {}

  Result<SubjectFacts> run();

 private:
  struct Door {
    const NamespaceKind* kind;
    UniqueFd file;
  };

  Result<void> look();
  void compare_namespaces();
  void compare_confinement();
  void compare_device_rules();
  void read_path();
  std::optional<parse::Credentials> own_credentials() const;
  void take_ids(const parse::Credentials& wanted);
  bool enter(std::vector<Door>& doors, bool user);
  void join();
  void enter_root();
  void read_own_view();
  void name_ids_as_inside();
  void take_capabilities();
  void check_rights();
  bool is_same_root() const;
  void give_up(const std::string& why) {
    if (!facts_.files_out_of_reach) facts_.files_out_of_reach = why;
  }

  const PinnedProcess& process_;
  UniqueFd own_;  ///< our own /proc/<pid>, wherever the root directory is by then
  UniqueFd root_;
  std::vector<Door> doors_;
  bool cgroup_names_known_ = true;  ///< we are in its cgroup namespace
  bool ids_taken_ = false;
  bool initial_ = false;  ///< we begin in the initial user namespace
  SubjectFacts facts_;
};

// With our own rights, before any of them is given up.
Result<void> TakingPlace::look() {
  auto credentials = process_.credentials();
  if (!credentials) return credentials.error();
  facts_.credentials = std::move(*credentials);
  compare_namespaces();
  compare_confinement();
  compare_device_rules();
  read_path();
  auto root = process_.open("root", O_PATH | O_DIRECTORY);
  if (root)
    root_ = std::move(*root);
  else
    give_up("its root directory cannot be entered: " + errno_name(root.error().code));
  return {};
}

void TakingPlace::compare_namespaces() {
  for (const NamespaceKind& kind : kinds) {
    struct stat theirs {};
    struct stat ours {};
    if (::fstatat(process_.directory(), kind.path, &theirs, 0) != 0) {
      const int error_number = errno;
      if (error_number == ENOENT) continue;  // this kernel has no such namespaces
      facts_.namespaces.emplace(kind.path,
                                out_of_reach("stat", kind.path, "its namespaces cannot be seen",
                                             {error_number, std::generic_category()}));
      give_up("its namespaces cannot be seen: " + name_of(error_number));
      if (kind.type == CLONE_NEWCGROUP) cgroup_names_known_ = false;
      continue;
    }
    facts_.namespaces.emplace(kind.path, FileInfo{.kind = FileKind::other, .inode = theirs.st_ino});
    const bool ours_known = ::fstatat(own_.get(), kind.path, &ours, 0) == 0;
    if (kind.type == 0 || (ours_known && ours.st_ino == theirs.st_ino)) continue;
    auto file = process_.open(kind.path, O_RDONLY);
    if (file)
      doors_.push_back({&kind, std::move(*file)});
    else
      give_up(std::string{kind.path} + " cannot be entered: " + errno_name(file.error().code));
  }
}

// A profile cannot be taken over without executing something below it.
void TakingPlace::compare_confinement() {
  const auto theirs = process_.read("attr/current");
  facts_.files.insert_or_assign("attr/current", theirs);
  if (!theirs) {
    // EINVAL, ENOENT: no security module gives processes labels.
    const int error_number = theirs.error().code.value();
    if (theirs.error().code != Fault::no_such_process && error_number != EINVAL &&
        error_number != ENOENT)
      facts_.opened_in_doubt = "its security label cannot be read: " + name_of(error_number);
    return;
  }
  const auto ours = RealHost{}.read("/proc/self/attr/current");
  std::string_view label = parse::trimmed(*theirs);
  while (label.ends_with('\0')) label.remove_suffix(1);
  if (label.empty() || label == "kernel" || label.starts_with("unconfined")) return;
  if (ours && *ours == *theirs) return;
  facts_.opened_in_doubt = "it is confined as " + std::string{label} + ", and surveyd is not";
}

// We stay in our own cgroup: to enter another would change the tree.
void TakingPlace::compare_device_rules() {
  const RealHost host;
  const auto ours = host.read("/proc/self/cgroup");
  const auto theirs = process_.read("cgroup");
  const auto mounts = host.read("/proc/self/mountinfo");
  if (!ours || !theirs || !mounts) {
    facts_.opened_in_doubt = "its device cgroup is not known";
    facts_.refused_in_doubt = "surveyd's own device cgroup is not known";
    return;
  }
  if (*ours == *theirs) return;
  if (auto rules = possible_device_rules(*theirs, *mounts); rules && !facts_.opened_in_doubt)
    facts_.opened_in_doubt = std::move(rules);
  if (auto rules = possible_device_rules(*ours, *mounts))
    facts_.refused_in_doubt = "the refusal may come from surveyd's own cgroup: " + *rules;
}

void TakingPlace::read_path() {
  const auto environ = process_.read("environ");
  if (!environ) {
    facts_.path =
        out_of_reach("read", "environ", "its environment cannot be read", environ.error().code);
    return;
  }
  const auto value = parse::environment_variable(*environ, "PATH");
  facts_.path = value ? std::optional{std::string{*value}} : std::nullopt;
}

std::optional<parse::Credentials> TakingPlace::own_credentials() const {
  const UniqueFd file{::openat(own_.get(), "status", O_RDONLY | O_CLOEXEC)};
  std::array<char, 16384> text;
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size <= 0) return std::nullopt;
  return parse::credentials({text.data(), static_cast<std::size_t>(size)});
}

// While the capabilities stay as they are, as without them no namespace can be entered any more.
void TakingPlace::take_ids(const parse::Credentials& wanted) {
  const auto own = own_credentials();
  if (own && own->same_ids(wanted)) {
    ids_taken_ = true;
    return;
  }
  if (::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0) return;
  const std::vector<gid_t> groups(wanted.groups.begin(), wanted.groups.end());
  const bool taken = ::setgroups(groups.size(), groups.data()) == 0 &&
                     ::setresgid(wanted.gids[0], wanted.gids[1], wanted.gids[2]) == 0 &&
                     ::setresuid(wanted.uids[0], wanted.uids[1], wanted.uids[2]) == 0;
  if (taken) {
    ::setfsgid(wanted.gids[3]);
    ::setfsuid(wanted.uids[3]);
  }
  // access(2) for the real user depends on these bits, and hardly any process sets them.
  ids_taken_ = ::prctl(PR_SET_SECUREBITS, 0) == 0 && taken;
}

bool TakingPlace::enter(std::vector<Door>& doors, bool user) {
  std::erase_if(doors, [user](const Door& door) {
    const bool is_user = door.kind->type == CLONE_NEWUSER;
    return is_user == user && ::setns(door.file.get(), door.kind->type) == 0;
  });
  return doors.empty();
}

// Who is privileged has every right in the namespaces below and loses it by entering the user
// namespace; who is not gets rights only by entering that one. So the others are tried twice.
void TakingPlace::join() {
  (void)enter(doors_, false);
  (void)enter(doors_, true);
  if (enter(doors_, false)) return;
  for (const Door& door : doors_) {
    if (door.kind->type == CLONE_NEWCGROUP) cgroup_names_known_ = false;
    give_up(std::string{door.kind->path} + " cannot be entered: " + name_of(errno));
  }
}

bool TakingPlace::is_same_root() const {
  struct statx theirs {};
  struct statx ours {};
  constexpr unsigned mask = STATX_INO | STATX_MNT_ID;
  return ::statx(root_.get(), "", AT_EMPTY_PATH, mask, &theirs) == 0 &&
         ::statx(AT_FDCWD, "/", 0, mask, &ours) == 0 && theirs.stx_ino == ours.stx_ino &&
         theirs.stx_dev_major == ours.stx_dev_major && theirs.stx_dev_minor == ours.stx_dev_minor &&
         (theirs.stx_mask & STATX_MNT_ID) != 0 && theirs.stx_mnt_id == ours.stx_mnt_id;
}

void TakingPlace::enter_root() {
  if (!root_ || is_same_root()) return;
  if (::fchdir(root_.get()) != 0 || ::chroot(".") != 0)
    give_up("its root directory cannot be entered: " + name_of(errno));
}

void TakingPlace::read_own_view() {
  for (const char* name : own_view_files) {
    const std::string_view text{name};
    const bool named_by_namespace = text == "cgroup" || text == "mountinfo";
    facts_.files.insert_or_assign(
        name, named_by_namespace && !cgroup_names_known_
                  ? out_of_reach("read", name, "its cgroup namespace cannot be entered")
                  : process_.read(name));
  }
  const auto& status = facts_.files.find("status")->second;
  const auto credentials = status ? parse::credentials(*status) : std::nullopt;
  if (credentials && !facts_.files_out_of_reach) facts_.credentials = *credentials;
}

// Its user namespace could not be entered: what the ids are in there, its map says to everybody.
void TakingPlace::name_ids_as_inside() {
  const auto map = process_.read("uid_map");
  if (!facts_.files_out_of_reach || !initial_ || !map) return;
  for (unsigned& uid : facts_.credentials.uids)
    uid = parse::id_inside(*map, uid).value_or(overflow_uid());
}

void TakingPlace::take_capabilities() {
  const parse::Credentials& wanted = facts_.credentials;
  CapabilitySets sets;
  if (!sets.get()) return;
  // What execve(2) would make of them is of no consequence here, so these may fail.
  sets.inheritable(wanted.inheritable);
  (void)sets.set();
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if ((wanted.bounding >> static_cast<unsigned>(capability) & 1U) == 0)
      ::prctl(PR_CAPBSET_DROP, capability);
  if (wanted.no_new_privileges == true) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

  CapabilitySets last;
  if (!last.get()) return;
  last.permitted(wanted.permitted);
  last.effective(wanted.effective);
  (void)last.set();
  for (int capability = 0; capability < 64; ++capability)
    if ((wanted.ambient >> static_cast<unsigned>(capability) & 1U) != 0)
      ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

// Whatever was refused on the way: what counts is what we are now.
void TakingPlace::check_rights() {
  const auto own = own_credentials();
  const parse::Credentials& wanted = facts_.credentials;
  if (!own || !own->same_ids(wanted) || !ids_taken_)
    give_up("its user and group ids cannot be taken over");
  else if (own->permitted != wanted.permitted || own->effective != wanted.effective)
    give_up("its capabilities cannot be taken over");
}

Result<SubjectFacts> TakingPlace::run() {
  if (!own_) return os_error(errno, "open", "/proc/self");
  if (const auto looked = look(); !looked) return looked.error();
  struct stat user {};
  initial_ =
      ::fstatat(own_.get(), "ns/user", &user, 0) == 0 && user.st_ino == initial_user_namespace;
  // In a child user namespace the overflow id may stand for an id that has no name there.
  const auto& ids = facts_.credentials;
  const unsigned overflow = overflow_uid();
  const bool nameless = ids.uids[0] == overflow || ids.uids[1] == overflow;
  if (initial_ || !nameless) take_ids(ids);
  join();
  enter_root();
  read_own_view();
  if (!ids_taken_ && !facts_.files_out_of_reach) take_ids(facts_.credentials);
  take_capabilities();
  check_rights();
  name_ids_as_inside();
  // Its user must not look into us (ptrace(2), /proc/<pid>/fd): descriptors of ours are open. That,
  // too, resets the death signal, which a change of ids does anyway.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!process_.still_there()) {
    Error error{.code = Fault::no_such_process, .op = "pin"};
    error.path = "/proc/" + std::to_string(process_.pid());
    error.detail = "it has ended";
    return error;
  }
  return std::move(facts_);
}

}  // namespace

Error out_of_reach(std::string op, std::string path, std::string detail, std::error_code refusal) {
  Error error{.code = Fault::subject_out_of_reach, .op = std::move(op), .path = std::move(path)};
  error.detail = std::move(detail);
  error.refusal = refusal;
  return error;
}

bool has_left_namespaces(const PinnedProcess& process, const SubjectFacts& facts) {
  return std::any_of(facts.namespaces.begin(), facts.namespaces.end(), [&process](const auto& one) {
    struct stat now {};
    // Who may not look any more has not seen a change.
    return one.second && ::fstatat(process.directory(), one.first.c_str(), &now, 0) == 0 &&
           now.st_ino != one.second->inode;
  });
}

Result<SubjectFacts> take_the_place_of(const PinnedProcess& process) {
  return TakingPlace{process}.run();
}

}  // namespace surveyd
