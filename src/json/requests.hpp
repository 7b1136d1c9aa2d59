#pragma once

#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include <surveyd/cgroup_tree.hpp>

namespace surveyd::json {

/// One sentence for the sender of a body that is not what the route takes.
struct BadBody {
  std::string detail;
};
[[noreturn]] void throw_exception_from_error(const BadBody& bad, const boost::source_location&);

template <class T>
using Parsed = boost::system::result<T, BadBody>;

struct EnsureRequest {
  Placement placement = Placement::automatic;
  Evacuate evacuate = Evacuate::self;
};

/// The body of POST /cgroups/ensure: empty or an object. Unknown members are refused by name.
[[nodiscard]] Parsed<EnsureRequest> ensure_request(std::string_view body);

struct SurveyRequest {
  bool verify = false;
};

/// The body of POST /survey: empty or an object.
[[nodiscard]] Parsed<SurveyRequest> survey_request(std::string_view body);

/// The body of a route that takes none: empty or an empty object.
[[nodiscard]] Parsed<void> no_request(std::string_view body);

}  // namespace surveyd::json
