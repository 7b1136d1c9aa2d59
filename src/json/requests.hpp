#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include <surveyd/cgroup_tree.hpp>

namespace surveyd::json {

/// Objects and arrays inside of each other that nobody needs more of.
inline constexpr std::size_t usual_levels = 16;

/// One sentence for the sender of a body that is not what the route takes.
struct BadBody {
  std::string detail;
  bool is_too_deep = false;  ///< nested deeper than is allowed
};
[[noreturn]] void throw_exception_from_error(const BadBody& bad, const boost::source_location&);

template <class T>
using Parsed = boost::system::result<T, BadBody>;

struct EnsureRequest {
  Placement placement = Placement::automatic;
  Evacuate evacuate = Evacuate::self;
};

/// The body of POST /cgroups/ensure: empty or an object. Unknown members are refused by name, and
/// what is nested deeper than `most_levels`, whatever it is.
[[nodiscard]] Parsed<EnsureRequest> ensure_request(std::string_view body,
                                                   std::size_t most_levels = usual_levels);

struct SurveyRequest {
  bool verify = false;
};

/// The body of POST /survey: empty or an object.
[[nodiscard]] Parsed<SurveyRequest> survey_request(std::string_view body,
                                                   std::size_t most_levels = usual_levels);

/// The body of a route that takes none: empty or an empty object.
[[nodiscard]] Parsed<void> no_request(std::string_view body,
                                      std::size_t most_levels = usual_levels);

}  // namespace surveyd::json
