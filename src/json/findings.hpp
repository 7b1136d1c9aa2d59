#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <surveyd/finding.hpp>
#include <surveyd/survey.hpp>

namespace surveyd::json {

/// GET /findings: all of them, and the survey they are from.
[[nodiscard]] std::string findings(const Survey& survey);

/// GET /findings/<id>.
[[nodiscard]] std::string finding(const Finding& finding);

/// The same in one line without a line feed, as helper processes send it.
[[nodiscard]] std::string finding_line(const Finding& finding);

/// What `finding_line` made. Nothing when it is anything else.
[[nodiscard]] std::optional<Finding> parse_finding(std::string_view line);

}  // namespace surveyd::json
