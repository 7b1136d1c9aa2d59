#include <algorithm>
#include <array>
#include <cerrno>

#include "probes/answer.hpp"
#include "probes/inquiry.hpp"
#include "probes/subject.hpp"
#include "probes/sysctl.hpp"

namespace surveyd::probes {
namespace {

// A limit of the user, over all processes, and what it should be raised to: the figures that people
// who run many containers have settled on.
struct Limit {
  const char* machine;  ///< that of the initial user namespace
  const char* in_a_user_namespace;
  const char* what;
  long long enough;  ///< below, a container engine and a few containers use it up
  long long comfortable;
};
// The runtime monitor of each container takes an instance, and the init in it half a dozen.
constexpr std::array limits = {
    Limit{"fs.inotify.max_user_instances", "user.max_inotify_instances", "instances", 16, 512},
    Limit{"fs.inotify.max_user_watches", "user.max_inotify_watches", "watches", 1024, 524288}};

bool is_descriptor_shortage(const Result<std::string>& read) {
  return !read && (errno_name(read.error().code) == "EMFILE");
}

// In a user namespace its own limit counts as well as those of the namespaces above.
Sysctl lowest(const Host& host, const Limit& limit, bool initial, Inquiry& inquiry) {
  Sysctl machine = read_sysctl(host, limit.machine);
  inquiry.saw(machine.evidence());
  if (initial) return machine;
  Sysctl own = read_sysctl(host, limit.in_a_user_namespace);
  inquiry.saw(own.evidence());
  return own.value && (!machine.value || *own.value < *machine.value) ? own : machine;
}

// EMFILE means both: the user has no instance left, or this process no descriptor. While files
// still open before and after it, it is the former.
bool lacks_instances(const Host& host) {
  constexpr const char* file = "/proc/sys/fs/inotify/max_user_instances";
  for (int again = 0; again < 2; ++again) {
    if (is_descriptor_shortage(host.read(file))) return false;
    const auto made = host.try_inotify();
    if (made || errno_name(made.error().code) != "EMFILE") return false;
  }
  return !is_descriptor_shortage(host.read(file));
}

void ask_for_one(const Host& host, const Sysctl& instances, Inquiry& inquiry) {
  const auto made = host.try_inotify();
  inquiry.saw(made ? observed("inotify_init1()", "made") : failed("inotify_init1()", made.error()));
  if (made) return;
  const int number = made.error().code.value();
  if (number == EMFILE && lacks_instances(host)) {
    const long long more = std::max(limits[0].comfortable, instances.value.value_or(0) * 2);
    inquiry.no(ReasonCode::limit_reached,
               "the user has no inotify instance left of " +
                   (instances.value ? std::to_string(*instances.value) : "those it may have"),
               change_sysctl(instances.name, more));
  } else if (number == ENOSYS || number == EPERM) {
    inquiry.no(ReasonCode::call_filtered,
               "a seccomp filter, or a kernel without inotify, answers inotify_init1 with " +
                   errno_name(made.error().code));
  } else {
    inquiry.unknown(ReasonCode::out_of_resources,
                    "inotify_init1 fails for another reason: " + describe(made.error()));
  }
}

}  // namespace

// How many are left would take a look at every descriptor of every process; that one can be made
// says that the limit is not reached now.
Finding inotify_headroom(Subject& subject) {
  const Host& host = subject.host();
  const auto& own = subject.namespaces().own;
  const bool initial = std::find(own.begin(), own.end(), "user") == own.end();
  Inquiry inquiry;
  std::string value;
  std::optional<Sysctl> instances;
  for (const Limit& limit : limits) {
    const Sysctl setting = lowest(host, limit, initial, inquiry);
    if (!instances) instances = setting;
    if (!setting.value) {
      inquiry.unknown(setting.code(), setting.doubt());
      continue;
    }
    value += (value.empty() ? "" : ", ") + std::to_string(*setting.value) + " " + limit.what;
    if (*setting.value < limit.enough)
      inquiry.no(ReasonCode::limit_reached,
                 setting.name + " is " + std::to_string(*setting.value) +
                     ", too few for a container engine and its containers",
                 change_sysctl(setting.name, limit.comfortable));
  }
  ask_for_one(host, *instances, inquiry);
  Finding finding =
      inquiry.conclude("another inotify instance can be made; each user may have " + value);
  finding.value = value;
  return finding;
}

}  // namespace surveyd::probes
