#include "json/requests.hpp"

#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "json/documents.hpp"

namespace surveyd::json {
namespace {

// Thrown out of the parser's callback, which has no other way to stop it.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct TooDeep {};

Parsed<nlohmann::json> object_of(std::string_view body, std::size_t most_levels) {
  std::set<std::string> members;
  const auto check = [&members, most_levels](int depth, nlohmann::json::parse_event_t event,
                                             nlohmann::json& value) {
    const bool opens = event == nlohmann::json::parse_event_t::object_start ||
                       event == nlohmann::json::parse_event_t::array_start;
    if (opens && static_cast<std::size_t>(depth) >= most_levels) throw TooDeep{};
    // Which of two equal members counts is up to the parser: nobody should depend on it.
    if (event == nlohmann::json::parse_event_t::key && depth == 1 &&
        !members.insert(value.get<std::string>()).second)
      throw Refused("the member " + string_literal(value.get<std::string>()) + " is given twice");
    return true;
  };
  // The parser takes a NUL for the end of the text and would not see what follows.
  if (body.find('\0') != std::string_view::npos)
    return BadBody{"the body is not JSON: it holds a NUL"};
  try {
    auto document = nlohmann::json::parse(body, check);
    if (!document.is_object()) return BadBody{"the body has to be a JSON object"};
    return Parsed<nlohmann::json>{boost::system::in_place_value, std::move(document)};
  } catch (const TooDeep&) {
    return BadBody{"the body is nested deeper than " + std::to_string(most_levels) + " levels",
                   true};
  } catch (const Refused& refused) {
    return BadBody{refused.what()};
  } catch (const nlohmann::json::parse_error& error) {
    return BadBody{"the body is not JSON: error at byte " + std::to_string(error.byte)};
  } catch (const nlohmann::json::exception&) {
    return BadBody{"the body holds a number that is out of range"};
  }
}

bool is_blank(std::string_view body) {
  return body.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

BadBody unknown_member(const std::string& name, std::string_view known) {
  return {"unknown member " + string_literal(name) + "; " + std::string{known}};
}

BadBody bad_value(const std::string& name, std::string_view known) {
  return {"the value of " + string_literal(name) + " has to be one of " + std::string{known}};
}

}  // namespace

void throw_exception_from_error(const BadBody& bad, const boost::source_location&) {
  throw std::invalid_argument(bad.detail);
}

Parsed<EnsureRequest> ensure_request(std::string_view body, std::size_t most_levels) {
  EnsureRequest request;
  if (is_blank(body)) return request;
  const auto document = object_of(body, most_levels);
  if (!document) return document.error();
  for (const auto& [name, value] : document->items()) {
    if (name == "placement") {
      if (value == "auto")
        request.placement = Placement::automatic;
      else if (value == "host")
        request.placement = Placement::host;
      else if (value == "scope")
        request.placement = Placement::scope;
      else
        return bad_value(name, R"("auto", "host", "scope")");
    } else if (name == "evacuate") {
      if (value == "self")
        request.evacuate = Evacuate::self;
      else if (value == "all")
        request.evacuate = Evacuate::all;
      else
        return bad_value(name, R"("self", "all")");
    } else {
      return unknown_member(name, R"(known are "placement" and "evacuate")");
    }
  }
  return request;
}

Parsed<SurveyRequest> survey_request(std::string_view body, std::size_t most_levels) {
  SurveyRequest request;
  if (is_blank(body)) return request;
  const auto document = object_of(body, most_levels);
  if (!document) return document.error();
  for (const auto& [name, value] : document->items()) {
    if (name != "verify") return unknown_member(name, R"(known is "verify")");
    if (!value.is_boolean()) return bad_value(name, "true, false");
    request.verify = value.get<bool>();
  }
  return request;
}

Parsed<void> no_request(std::string_view body, std::size_t most_levels) {
  if (is_blank(body)) return {};
  const auto document = object_of(body, most_levels);
  if (!document) return document.error();
  if (!document->empty()) return unknown_member(document->begin().key(), "none is known here");
  return {};
}

}  // namespace surveyd::json
