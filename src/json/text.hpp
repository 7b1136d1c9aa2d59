#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include <surveyd/survey.hpp>

namespace surveyd::json {

/// Indented, with a final line feed; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string text_of(const nlohmann::ordered_json& document);

/// RFC 3339 in UTC with milliseconds.
[[nodiscard]] std::string timestamp(std::chrono::system_clock::time_point when);

/// The member "survey" of the documents: which one it is, and when it was taken.
[[nodiscard]] nlohmann::ordered_json about(const SurveyRun& run);

}  // namespace surveyd::json
