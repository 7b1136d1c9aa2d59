#pragma once

#include <optional>
#include <string_view>

namespace surveyd::http {

/// What is wrong with the raw bytes of a request head, its empty last line included; nothing when
/// it may be given to the parser. Beast's parser is lenient where request smuggling begins: every
/// byte that two readers could take differently is refused here first (RFC 9112, 2.2 to 6.3).
[[nodiscard]] std::optional<std::string_view> violation_in_head(std::string_view head);

/// The value of the first `Host` of such a head; empty when it has none.
[[nodiscard]] std::string_view host_in_head(std::string_view head);

}  // namespace surveyd::http
