#pragma once

#include <chrono>
#include <string>

#include <surveyd/error.hpp>

namespace surveyd {

/// The main process of a service, asked of systemd over D-Bus (org.freedesktop.systemd1): of the
/// system's one for root, of the user's own otherwise. "x" means "x.service".
/// `Fault::no_such_process` when there is no such unit or nothing of it runs, `timed_out` when the
/// bus does not answer, the errno of what failed otherwise.
[[nodiscard]] Result<int> main_pid_of_unit(const std::string& unit,
                                           std::chrono::milliseconds deadline);

/// Whether it can be a unit's name: letters, digits and ":_.\\-@", at most 255, a service.
[[nodiscard]] bool is_service_name(const std::string& name);

}  // namespace surveyd
