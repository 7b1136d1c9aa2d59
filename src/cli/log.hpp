#pragma once

#include <string>

namespace surveyd::cli {

/// The log goes to standard error, one record a line, whatever the message holds and however long
/// it is: it is cut to keep the record within 4096 bytes. It never waits for its reader.
void start_log(const std::string& level, const std::string& format);

}  // namespace surveyd::cli
