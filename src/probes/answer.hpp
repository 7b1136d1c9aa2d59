#pragma once

#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd::probes {

[[nodiscard]] Finding answer(Status status, ReasonCode code, std::string reason);
[[nodiscard]] Finding yes(std::string reason);
[[nodiscard]] Finding yes(ReasonCode code, std::string reason);
[[nodiscard]] Finding no(ReasonCode code, std::string reason);
[[nodiscard]] Finding unknown(ReasonCode code, std::string reason);

/// A finding with what helps. `command` may be empty.
[[nodiscard]] Finding with_remedy(Finding finding, std::string text, std::string command = {});

[[nodiscard]] Evidence observed(std::string source, std::string value);
[[nodiscard]] Evidence failed(std::string source, const Error& error);

/// What a refusal proves: that it does not work here, or nothing, when this process only ran out of
/// descriptors, memory or luck.
[[nodiscard]] Status meaning_of(const Error& error);

/// Why a refusal came, where nothing more is known about it than its errno: `out_of_resources`,
/// `permission_denied`, `read_only`, `call_missing`, `unreadable`.
[[nodiscard]] ReasonCode code_of(const Error& error);

/// Why a device node does not open: `device_missing`, `device_denied`, `device_without_driver`, or
/// as above.
[[nodiscard]] ReasonCode code_of_device(const Error& error);

/// "ENOENT: No such file or directory".
[[nodiscard]] std::string describe(const Error& error);

/// A helper program as PATH leads to it.
struct Program {
  Status status = Status::no;
  std::string path;  ///< empty unless the status is yes
  ReasonCode code = ReasonCode::program_missing;
};

[[nodiscard]] Program find_program(const Host& host, const std::string& name);

/// Its path, "not found" or "unknown".
[[nodiscard]] std::string shown(const Program& program);

}  // namespace surveyd::probes
