#pragma once

#include <string>

#include <surveyd/error.hpp>
#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

namespace surveyd::probes {

[[nodiscard]] Finding answer(Status status, std::string reason);
[[nodiscard]] Finding yes(std::string reason);
[[nodiscard]] Finding no(std::string reason);
[[nodiscard]] Finding unknown(std::string reason);

[[nodiscard]] Evidence observed(std::string source, std::string value);
[[nodiscard]] Evidence failed(std::string source, const Error& error);

/// What a refusal proves: that it does not work here, or nothing, when this process only ran out of
/// descriptors, memory or luck.
[[nodiscard]] Status meaning_of(const Error& error);

/// "ENOENT: No such file or directory".
[[nodiscard]] std::string describe(const Error& error);

/// A helper program as PATH leads to it.
struct Program {
  Status status = Status::no;
  std::string path;  ///< empty unless the status is yes
};

[[nodiscard]] Program find_program(const Host& host, const std::string& name);

/// Its path, "not found" or "unknown".
[[nodiscard]] std::string shown(const Program& program);

}  // namespace surveyd::probes
