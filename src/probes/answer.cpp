#include "probes/answer.hpp"

#include <string_view>
#include <utility>

#include <unistd.h>

namespace surveyd::probes {

Finding answer(Status status, std::string reason) {
  Finding finding;
  finding.status = status;
  finding.reason = std::move(reason);
  return finding;
}

Finding yes(std::string reason) {
  return answer(Status::yes, std::move(reason));
}
Finding no(std::string reason) {
  return answer(Status::no, std::move(reason));
}
Finding unknown(std::string reason) {
  return answer(Status::unknown, std::move(reason));
}

Evidence observed(std::string source, std::string value) {
  return {std::move(source), std::move(value), {}};
}

Evidence failed(std::string source, const Error& error) {
  return {std::move(source), {}, error.code};
}

Status meaning_of(const Error& error) {
  return is_inconclusive(error.code) ? Status::unknown : Status::no;
}

std::string describe(const Error& error) {
  const std::string name = errno_name(error.code);
  return name.empty() ? error.code.message() : name + ": " + error.code.message();
}

Program find_program(const Host& host, const std::string& name) {
  // What a shell falls back to when PATH is unset.
  const std::string path = host.environment("PATH").value_or(
      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  Program program;
  std::string_view rest{path};
  while (true) {
    const auto end = rest.find(':');
    const std::string_view directory = rest.substr(0, end);
    // An empty entry means the working directory, from which nobody should run helpers.
    if (directory.starts_with('/')) {
      const std::string file = std::string{directory} + "/" + name;
      const auto executable = host.access(file, X_OK, As::effective_user);
      if (executable) {
        const auto info = host.stat(file);
        if (info && info->kind == FileKind::regular) return {Status::yes, file};
      } else if (meaning_of(executable.error()) == Status::unknown) {
        program.status = Status::unknown;
      }
    }
    if (end == std::string_view::npos) return program;
    rest.remove_prefix(end + 1);
  }
}

std::string shown(const Program& program) {
  if (program.status == Status::unknown) return "unknown";
  return program.status == Status::yes ? program.path : "not found";
}

}  // namespace surveyd::probes
