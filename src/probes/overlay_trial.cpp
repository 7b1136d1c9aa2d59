#include "probes/overlay_trial.hpp"

#include <cerrno>
#include <utility>

#include "host/real_host.hpp"

namespace surveyd::probes {
namespace {

constexpr const char* before = "lower\n";
constexpr const char* after = "changed\n";

// The first that fails ends it.
class Steps {
 public:
  template <class Step>
  Steps& then(Step step) {
    if (!error_)
      if (auto done = step(); !done) error_ = done.error();
    return *this;
  }
  /// Not what a system call says, but what is found afterwards.
  Steps& expect(bool holds, const char* op, const std::string& path) {
    if (!error_ && !holds) error_ = Error{.code = Fault::not_read_back, .op = op, .path = path};
    return *this;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  std::optional<Error> error_;
};

// Only root of the initial user namespace may write these, and the overlay keeps its notes in them.
bool takes_trusted_attributes(Host& host, const std::string& directory) {
  const auto set = host.set_attribute(directory, "trusted.surveyd", "1");
  return set || set.error().code != std::errc::operation_not_permitted;
}

}  // namespace

Result<Overlay> lay_out_overlay(const std::string& directory) {
  RealHost host;
  Overlay overlay{.lowers = {directory + "/lower1", directory + "/lower2"},
                  .upper = directory + "/upper",
                  .work = directory + "/work",
                  .target = directory + "/merged"};
  Steps steps;
  steps.then([&] { return host.make_directory(directory); });
  for (const std::string& part : {overlay.upper, overlay.work, overlay.target})
    steps.then([&] { return host.make_directory(part); });
  for (const std::string& lower : overlay.lowers)
    steps.then([&] { return host.make_directory(lower); })
        .then([&] { return host.make_directory(lower + "/both"); })
        .then([&] { return make_file(lower + "/both/below", before); })
        .then([&] { return make_file(lower + "/file", before); });
  if (steps.error()) return *steps.error();
  return overlay;
}

std::optional<Failure> exercise_overlay(const Overlay& overlay) {
  RealHost host;
  const std::string file = overlay.target + "/file";
  const std::string both = overlay.target + "/both";
  const auto reads = [&host](const std::string& path, const char* text) {
    const auto read = host.read(path);
    return read && *read == text;
  };
  const auto is_empty = [&host](const std::string& path) {
    const auto names = host.list(path);
    return names && names->empty();
  };
  Steps steps;
  steps.then([&] { return host.write(file, after); })
      .expect(reads(file, after), "the changed file", file)
      .then([&] { return remove_file(both + "/below"); })
      .then([&] { return host.remove_directory(both); })
      .expect(!host.stat(both), "the removed directory", both)
      .then([&] { return host.make_directory(both); })
      .expect(is_empty(both), "the new directory", both);
  // The lowers are for many containers.
  for (const std::string& lower : overlay.lowers)
    steps.expect(reads(lower + "/file", before), "the lower file", lower + "/file")
        .expect(reads(lower + "/both/below", before), "the lower file", lower + "/both/below");
  if (steps.error()) return Failure{*steps.error(), true};
  return std::nullopt;
}

std::optional<Failure> try_overlay(const std::string& directory, Rights rights) {
  RealHost host;
  auto overlay =
      lay_out_overlay(directory + (rights == Rights::own ? "/direct" : "/user_namespace"));
  if (!overlay) return Failure{overlay.error(), false};
  overlay->user_attributes =
      rights == Rights::user_namespace || !takes_trusted_attributes(host, overlay->upper);
  if (auto mounted = mount(*overlay); !mounted) return Failure{mounted.error(), false};
  auto failure = exercise_overlay(*overlay);
  (void)unmount(overlay->target);
  // The overlay made it without any permissions, and only root could look into it to remove it.
  (void)reopen_to_owner(overlay->work + "/work");
  return failure;
}

bool is_unsuitable_storage(const Failure& failure) {
  return failure.error.op.starts_with("mount(overlay") &&
         failure.error.code == std::errc::invalid_argument;
}

Result<std::string> private_tmpfs(const Trial& trial) {
  std::vector<std::string> places = {"/tmp", "/mnt", "/run"};
  if (trial.scratch) places.insert(places.begin(), *trial.scratch);
  for (const std::string& place : places) {
    const auto info = trial.subject.host().stat(place);
    if (!info || info->kind != FileKind::directory) continue;
    if (auto mounted = mount_tmpfs(place); !mounted) return mounted.error();
    return place;
  }
  return os_error(ENOENT, "mount(tmpfs)");
}

}  // namespace surveyd::probes
