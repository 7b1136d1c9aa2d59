#pragma once

#include <optional>
#include <string_view>

namespace surveyd::http {

/// A decision about a caller who asked for a change.
struct Decision {
  bool allowed = false;
  std::optional<unsigned> uid;  ///< as far as it is known
  std::string_view transport;
  std::string_view method;
  std::string_view route;
  std::string_view subject;  ///< what the change is about, already found well-formed; may be empty
  std::string_view why;      ///< of a refusal
};

/// One line in the log. At most 20 a second of each outcome, so that nobody fills the disk, or
/// hides what was allowed behind what was refused; the rest is counted.
void audit(const Decision& decision);

}  // namespace surveyd::http
