// The settings file, as `--config` reads it, and the command line before it: what is refused is one
// line, what is taken is within what the documentation allows.
//
// An input is a file. Where it begins with "surveyd ", its first line is the command line, words
// separated by single spaces, and the rest is the file: no file with such a line is accepted.

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

// In place of the catalogue: one is enough to be named, or not.
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
  require(settings.limits.unix_connections < settings.limits.connections,
          "TCP has connections of its own");
  require(settings.tls.certificate.empty() == settings.tls.key.empty(),
          "a certificate has its key");
  require(
      (settings.access.tcp_mutations == http::TcpMutations::token) == !settings.token_file.empty(),
      "a token has its file");
}

void check_command(const cli::Settings& settings) {
  const auto is_known = [](const std::string& id) { return id == probes.front().id; };
  require(settings.pid >= 0 && (settings.pid == 0 || !settings.verify),
          "nothing is tried in another process's name");
  require(std::all_of(settings.required.begin(), settings.required.end(), is_known),
          "what is required is a finding");
  if (settings.command == cli::Command::explain)
    require(is_known(settings.finding), "what is explained is a finding");
  if (settings.command != cli::Command::check) return;
  for (const std::string& mode : {settings.mode, settings.assessed_mode})
    require(mode.empty() || mode == "full" || mode == "nested_adaptive" || mode == "degraded",
            "a mode is one of three");
  require(!settings.mode.empty() || !settings.assessed_mode.empty() || !settings.required.empty(),
          "something is checked");
  require(!settings.verified || !settings.required.empty(), "what is verified is named");
}

struct Input {
  std::vector<std::string> words;
  std::string_view file;
};

Input split(std::string_view text) {
  Input input{.words = {"surveyd"}, .file = text};
  if (!text.starts_with("surveyd ")) return input;
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::istringstream line{std::string{text.substr(0, end)}};
  std::getline(line, input.words.front(), ' ');
  for (std::string word; std::getline(line, word, ' ');) input.words.push_back(word);
  input.file = text.substr(std::min(end + 1, text.size()));
  return input;
}

// An argument ends at a NUL. Another file might be a device, and opening it mean something.
bool can_be_tried(const std::vector<std::string>& words) {
  return std::none_of(words.begin(), words.end(), [](const std::string& word) {
    return word.find('\0') != std::string::npos || word.starts_with("--config");
  });
}

// What is written to a stream meanwhile.
class Caught {
 public:
  explicit Caught(std::ostream& stream) : stream_(stream), before_(stream.rdbuf(text_.rdbuf())) {}
  Caught(const Caught&) = delete;
  Caught& operator=(const Caught&) = delete;
  ~Caught() { stream_.rdbuf(before_); }
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::ostream& stream_;
  std::streambuf* before_;
};

void check(std::string_view text) {
  static const File file;
  const Input input = split(text);
  if (!can_be_tried(input.words)) return;
  file.write(input.file);
  forget_settings();

  const std::string path = file.path();
  std::vector<const char*> arguments{input.words.front().c_str(), "--config", path.c_str()};
  for (std::size_t i = 1; i < input.words.size(); ++i) arguments.push_back(input.words[i].c_str());
  const Caught complaints{std::cerr};
  const Caught help{std::cout};
  const auto result = cli::parse_settings(static_cast<int>(arguments.size()), arguments.data());

  const std::string line = complaints.text();
  if (const auto* settings = std::get_if<cli::Settings>(&result)) {
    require(line.empty() && help.text().empty(), "what is accepted is not talked about");
    require(input.file.find('\0') == std::string_view::npos, "no value is cut at a NUL");
    check_accepted(*settings);
    check_command(*settings);
    require(input.words.size() > 1 || settings->command == cli::Command::serve,
            "a file holds settings, and no commands");
    return;
  }
  if (std::get<int>(result) == 0)
    return require(line.empty() && !help.text().empty() && input.words.size() > 1,
                   "who asks for help gets that alone");
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
