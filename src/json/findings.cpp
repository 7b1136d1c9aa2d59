#include "json/findings.hpp"

#include <array>
#include <cstring>
#include <stdexcept>

#include <surveyd/error.hpp>

#include "json/text.hpp"

namespace surveyd::json {
namespace {

using nlohmann::ordered_json;
using std::chrono::microseconds;
using std::chrono::system_clock;

// The names that errno_name() gives.
std::error_code error_named(const std::string& name) {
  for (int number = 1; number < 134; ++number)
    if (const char* known = strerrorname_np(number); known != nullptr && name == known)
      return {number, std::generic_category()};
  return {};
}

ordered_json evidence(const Finding& finding) {
  ordered_json list = ordered_json::array();
  for (const Evidence& one : finding.evidence) {
    list.push_back({{"source", one.source}});
    if (one.error)
      list.back()["errno"] = errno_name(one.error);
    else
      list.back()["value"] = one.value;
  }
  return list;
}

ordered_json document_of(const Finding& finding) {
  using std::chrono::duration_cast;
  ordered_json document = {{"id", finding.id},
                           {"status", to_string(finding.status)},
                           {"basis", to_string(finding.basis)},
                           {"value", finding.value},
                           {"reason", finding.reason},
                           {"reason_code", to_string(finding.code)}};
  document["evidence"] = evidence(finding);
  document["remedy"] = nullptr;
  if (finding.remedy)
    document["remedy"] = {
        {"text", finding.remedy->text},
        {"command", finding.remedy->command.empty() ? ordered_json(nullptr)
                                                    : ordered_json(finding.remedy->command)}};
  document["checked_at"] = timestamp(finding.checked_at);
  document["changed_at"] = timestamp(finding.changed_at);
  document["duration_us"] = duration_cast<microseconds>(finding.duration).count();
  return document;
}

template <class Enum, class Values>
Enum named(const std::string& name, const Values& values) {
  for (const Enum value : values)
    if (name == to_string(value)) return value;
  throw std::invalid_argument(name);
}

Finding finding_of(const nlohmann::json& document) {
  Finding finding;
  finding.id = document.at("id");
  finding.status =
      named<Status>(document.at("status"), std::array{Status::yes, Status::no, Status::unknown});
  finding.basis = named<Basis>(document.at("basis"), std::array{Basis::claimed, Basis::verified});
  finding.code = named<ReasonCode>(document.at("reason_code"), reason_codes());
  finding.value = document.at("value");
  finding.reason = document.at("reason");
  for (const auto& one : document.at("evidence"))
    finding.evidence.push_back(
        {one.at("source"), one.value("value", ""), error_named(one.value("errno", ""))});
  if (const auto& remedy = document.at("remedy"); !remedy.is_null()) {
    finding.remedy = Remedy{remedy.at("text"), {}};
    if (!remedy.at("command").is_null()) finding.remedy->command = remedy.at("command");
  }
  finding.failed = document.at("failed");
  const auto us = [&document](const char* name) {
    const nlohmann::json& number = document.at(name);
    const auto count = number.is_number_integer() ? number.get<std::int64_t>() : -1;
    // The clock counts nanoseconds.
    if (count < 0 ||
        count > std::chrono::duration_cast<microseconds>(std::chrono::nanoseconds::max()).count())
      throw std::out_of_range(name);
    return microseconds{count};
  };
  finding.checked_at = finding.changed_at = system_clock::time_point{us("checked_at_us")};
  finding.duration = us("duration_us");
  return finding;
}

}  // namespace

std::string finding(const Finding& finding) {
  return text_of(document_of(finding));
}

std::string findings(const Survey& survey) {
  ordered_json document;
  document["findings"] = ordered_json::array();
  for (const Finding& finding : survey.findings.all())
    document["findings"].push_back(document_of(finding));
  document["survey"] = about(survey.run);
  return text_of(document);
}

std::string finding_line(const Finding& finding) {
  ordered_json document = document_of(finding);
  document["failed"] = finding.failed;
  document["checked_at_us"] =
      std::chrono::duration_cast<microseconds>(finding.checked_at.time_since_epoch()).count();
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::optional<Finding> parse_finding(std::string_view line) {
  try {
    return finding_of(nlohmann::json::parse(line));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace surveyd::json
