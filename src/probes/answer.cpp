#include "probes/answer.hpp"

#include <cerrno>
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
  switch (error.code.value()) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EAGAIN:
    case EIO:
    case ENOSYS:  // perhaps a seccomp filter's word and not the kernel's
      return Status::unknown;
    default:
      return Status::no;
  }
}

std::string describe(const Error& error) {
  const std::string name = errno_name(error.code);
  return name.empty() ? error.code.message() : name + ": " + error.code.message();
}

std::optional<std::string> find_program(const Host& host, const std::string& name) {
  // What a shell falls back to when PATH is unset.
  const std::string path = host.environment("PATH").value_or(
      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  std::string_view rest{path};
  while (true) {
    const auto end = rest.find(':');
    const std::string_view directory = rest.substr(0, end);
    // An empty entry means the working directory, from which nobody should run helpers.
    if (directory.starts_with('/')) {
      const std::string file = std::string{directory} + "/" + name;
      if (host.access(file, X_OK, As::effective_user)) {
        const auto info = host.stat(file);
        if (info && info->kind == FileKind::regular) return file;
      }
    }
    if (end == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace surveyd::probes
