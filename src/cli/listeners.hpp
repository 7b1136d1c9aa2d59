#pragma once

#include <string>

#include "cli/settings.hpp"
#include "http/server.hpp"

namespace surveyd::cli {

/// Opens all that is served on; what systemd has opened takes the place of the default addresses.
/// Gives the path of the Unix socket that was made, empty when there is none. Throws StartFailure.
std::string open_listeners(http::Server& server, http::Service& service, const Settings& settings);

}  // namespace surveyd::cli
