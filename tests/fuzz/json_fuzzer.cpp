// Bodies of requests, and the line that a helper process sends for a finding. The first byte
// chooses which.

#include <string>

#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "json/findings.hpp"
#include "json/requests.hpp"

namespace surveyd::fuzz {
namespace {

using nlohmann::json;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool has_only(const json& document, std::initializer_list<const char*> names) {
  for (const auto& [name, value] : document.items())
    if (std::find(names.begin(), names.end(), name) == names.end()) return false;
  return true;
}

void check_refusal(const surveyd::json::BadBody& bad) {
  require(!bad.detail.empty(), "a refusal says why");
  for (const char c : bad.detail)
    require(static_cast<unsigned char>(c) >= 0x20, "a refusal is one line");
}

// What every body has to be, and that no beginning of one is taken for it.
template <class Parse>
void check_body(std::string_view body, std::initializer_list<const char*> names, Parse parse) {
  const auto parsed = parse(body);
  if (!parsed) return check_refusal(parsed.error());
  if (is_blank(body)) return;
  const json document = json::parse(body, nullptr, false);
  require(document.is_object() && has_only(document, names), "a body has known members only");
  require(body.find('\0') == std::string_view::npos, "a body holds no NUL");
  const auto end = body.rfind('}');
  for (std::size_t size = 1; size <= end; ++size)
    require(is_blank(body.substr(0, size)) || !parse(body.substr(0, size)),
            "the beginning of a body is none");
}

void check_ensure(std::string_view body) {
  check_body(body, {"placement", "evacuate"},
             [](std::string_view text) { return surveyd::json::ensure_request(text); });
  const auto parsed = surveyd::json::ensure_request(body);
  if (!parsed) return;
  const json document = is_blank(body) ? json::object() : json::parse(body);
  const std::string placement = document.value("placement", "auto");
  require((placement == "host") == (parsed->placement == Placement::host) &&
              (placement == "scope") == (parsed->placement == Placement::scope),
          "the placement is the one that was asked for");
  require((document.value("evacuate", "self") == "all") == (parsed->evacuate == Evacuate::all),
          "others are moved only when that was asked for");
}

void check_survey(std::string_view body) {
  check_body(body, {"verify"},
             [](std::string_view text) { return surveyd::json::survey_request(text); });
  const auto parsed = surveyd::json::survey_request(body);
  if (!parsed) return;
  const json document = is_blank(body) ? json::object() : json::parse(body);
  require(document.value("verify", false) == parsed->verify,
          "something is verified only when that was asked for");
}

void check_finding(std::string_view line) {
  const auto finding = surveyd::json::parse_finding(line);
  if (!finding) return;
  const std::string again = surveyd::json::finding_line(*finding);
  require(again.find('\n') == std::string::npos, "a finding is one line");
  const auto second = surveyd::json::parse_finding(again);
  require(second.has_value(), "what was written can be read");
  require(surveyd::json::finding_line(*second) == again, "and says the same");
  require(is_same_answer(*finding, *second), "it is the same answer");
  require(json::accept(surveyd::json::finding(*finding)), "the document of a finding is JSON");
}

void check(std::string_view input) {
  switch (choose(input, 4)) {
    case 0:
      return check_ensure(input);
    case 1:
      return check_survey(input);
    case 2:
      return check_body(input, {},
                        [](std::string_view text) { return surveyd::json::no_request(text); });
    default:
      return check_finding(input);
  }
}

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  surveyd::fuzz::check(surveyd::fuzz::text_of(data, size));
  return 0;
}
