#include "probes/answer.hpp"

#include <cerrno>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace surveyd::probes {

Finding answer(Status status, ReasonCode code, std::string reason) {
  Finding finding;
  finding.status = status;
  finding.code = code;
  finding.reason = std::move(reason);
  return finding;
}

Finding yes(std::string reason) {
  return yes(ReasonCode::available, std::move(reason));
}
Finding yes(ReasonCode code, std::string reason) {
  return answer(Status::yes, code, std::move(reason));
}
Finding no(ReasonCode code, std::string reason) {
  return answer(Status::no, code, std::move(reason));
}
Finding unknown(ReasonCode code, std::string reason) {
  return answer(Status::unknown, code, std::move(reason));
}

Finding with_remedy(Finding finding, std::string text, std::string command) {
  finding.remedy = Remedy{std::move(text), std::move(command)};
  return finding;
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

ReasonCode code_of(const Error& error) {
  if (error.code == Fault::timed_out) return ReasonCode::timed_out;
  if (error.code == Fault::subject_out_of_reach) return ReasonCode::subject_out_of_reach;
  if (errno_name(error.code).empty()) return ReasonCode::unreadable;
  switch (error.code.value()) {
    case EACCES:
    case EPERM:
      return ReasonCode::permission_denied;
    case EROFS:
      return ReasonCode::read_only;
    case ENOSYS:
      return ReasonCode::call_missing;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ReasonCode::out_of_resources;
    default:
      return ReasonCode::unreadable;
  }
}

ReasonCode code_of_device(const Error& error) {
  if (is_inconclusive(error.code)) return code_of(error);
  switch (error.code.value()) {
    case ENOENT:
    case ENOTDIR:
      return ReasonCode::device_missing;
    case ENODEV:
    case ENXIO:
      return ReasonCode::device_without_driver;
    default:
      return ReasonCode::device_denied;
  }
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
        if (info && info->kind == FileKind::regular)
          return {Status::yes, file, ReasonCode::available};
      } else if (meaning_of(executable.error()) == Status::unknown) {
        program.status = Status::unknown;
        program.code = code_of(executable.error());
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
