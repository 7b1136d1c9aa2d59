// The settings file, as `--config` reads it: what is refused is one line, what is taken is within
// what the documentation allows.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <surveyd/container_id.hpp>
#include <surveyd/probe.hpp>

#include "cli/settings.hpp"
#include "fuzz.hpp"
#include "host/listening.hpp"

namespace surveyd {

// In place of the catalogue, whose probes the settings file cannot name.
namespace {
const std::array probes = {Probe{.id = "is_root", .summary = "the effective uid is 0"}};
}
std::span<const Probe> catalogue() {
  return probes;
}
std::vector<Probe> probes_for(const std::vector<std::string>&) {
  return {probes.begin(), probes.end()};
}

}  // namespace surveyd

namespace surveyd::fuzz {
namespace {

// A file without a name: the fuzzer leaves nothing behind.
class File {
 public:
  File() : fd_(::memfd_create("settings", MFD_CLOEXEC)) { require(fd_ >= 0, "there is a file"); }
  void write(std::string_view text) const {
    require(::ftruncate(fd_, 0) == 0 &&
                ::pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()),
            "the file takes the text");
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void forget_settings() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (const std::string_view text{*entry}; text.starts_with("SURVEYD_"))
      names.emplace_back(text.substr(0, text.find('=')));
  for (const std::string& name : names) ::unsetenv(name.c_str());
}

void check_accepted(const cli::Settings& settings) {
  for (const std::string& text : settings.listen) {
    if (text == cli::no_listener) continue;
    const auto address = parse_tcp_address(text);
    require(address && address->is_loopback(), "a plain listener is on loopback");
    const auto again = parse_tcp_address(to_string(*address));
    require(again && to_string(*again) == to_string(*address),
            "an address is written as it is read");
  }
  for (const std::string& text : settings.listen_remote)
    require(parse_tcp_address(text).has_value(), "a remote listener has an address");
  require(settings.interval.count() >= 1 && settings.interval.count() <= 86400,
          "the interval is within its bounds");
  require(is_cgroup_name(settings.cgroup_name), "the cgroup's name is one");
  require(settings.cgroup_base.empty() ||
              (settings.cgroup_base.starts_with('/') &&
               (settings.cgroup_base + "/").find("/../") == std::string::npos),
          "the base does not lead upwards");
  require(!settings.storage.empty(), "there is a storage path");
  for (const std::string& path : settings.storage)
    require(path.starts_with('/'), "a storage path is absolute");
  require(settings.subject_pid >= 0 && (settings.subject_pid == 0 || settings.subject_unit.empty()),
          "there is one subject");
  require(settings.command == cli::Command::serve && !settings.verify && settings.pid == 0,
          "a file holds settings, and no commands");
}

void check(std::string_view text) {
  static const File file;
  file.write(text);
  forget_settings();

  const std::string path = file.path();
  const std::array arguments = {"surveyd", "--config", path.c_str()};
  std::ostringstream said;
  std::streambuf* before = std::cerr.rdbuf(said.rdbuf());
  const auto result = cli::parse_settings(static_cast<int>(arguments.size()), arguments.data());
  std::cerr.rdbuf(before);

  const std::string line = said.str();
  if (const auto* settings = std::get_if<cli::Settings>(&result)) {
    require(line.empty(), "what is accepted is not complained about");
    require(text.find('\0') == std::string_view::npos, "no value is cut at a NUL");
    return check_accepted(*settings);
  }
  require(std::get<int>(result) == 2, "a wrong setting is wrong usage");
  require(line.starts_with("surveyd: ") && line.find('\n') == line.size() - 1,
          "a wrong setting is one line");
}

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  surveyd::fuzz::check(surveyd::fuzz::text_of(data, size));
  return 0;
}
