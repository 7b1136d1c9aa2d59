#include <cerrno>
#include <cstring>

#include <surveyd/error.hpp>

namespace surveyd {
namespace {

class FaultCategory : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "surveyd"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<Fault>(value)) {
      case Fault::invalid_container_id:
        return "not a container id";
      case Fault::no_usable_cgroup2:
        return "no usable cgroup v2 here";
      case Fault::occupied:
        return "processes or child cgroups are in the way";
      case Fault::not_a_domain:
        return "the cgroup is not a domain";
      case Fault::not_read_back:
        return "the kernel accepted the change but does not show it";
      case Fault::timed_out:
        return "timed out";
      case Fault::program_failed:
        return "the program failed";
      case Fault::no_such_process:
        return "no such process";
      case Fault::subject_out_of_reach:
        return "it cannot be asked on behalf of that process";
    }
    return "unknown fault";
  }
};

}  // namespace

std::error_code make_error_code(Fault fault) {
  static const FaultCategory category;
  return {static_cast<int>(fault), category};
}

Error os_error(int error_number, std::string op, std::string path) {
  return {.code = {error_number, std::generic_category()},
          .op = std::move(op),
          .path = std::move(path),
          .detail = {},
          .processes = {},
          .children = {},
          .refusal = {},
          .migrated = {}};
}

std::string errno_name(const std::error_code& code) {
  if (!code) return {};
  if (code.category() != std::generic_category() && code.category() != std::system_category())
    return {};
  const char* name = strerrorname_np(code.value());
  return name != nullptr ? name : std::to_string(code.value());
}

bool is_inconclusive(const std::error_code& code) {
  if (code == Fault::subject_out_of_reach) return true;
  if (errno_name(code).empty()) return false;  // what surveyd itself found wrong
  switch (code.value()) {
    case EAGAIN:
    case EINTR:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSYS:
      return true;
    default:
      return false;
  }
}

std::string to_string(const Error& error) {
  std::string text = error.op;
  if (!error.path.empty()) text += (text.empty() ? "" : " ") + error.path;
  if (!text.empty()) text += ": ";
  text += error.code.message();
  if (!error.detail.empty()) text += ". " + error.detail;
  return text;
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::system_error(error.code, to_string(error));
}

}  // namespace surveyd
