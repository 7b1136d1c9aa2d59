#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include <surveyd/probe.hpp>

#include "cli/commands.hpp"
#include "cli/once.hpp"
#include "cli/terminal.hpp"
#include "json/documents.hpp"
#include "json/findings.hpp"

namespace surveyd::cli {
namespace {

int written() {
  std::cout.flush();
  if (std::cout) return EXIT_SUCCESS;
  std::cerr << "surveyd: the survey cannot be written to standard output\n";
  return EXIT_FAILURE;
}

std::string summary_of(const std::string& id, const Settings& settings) {
  for (const Probe& probe : probes_for(settings.storage))
    if (probe.id == id) return probe.summary;
  return {};
}

std::string text_of(const FieldValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return "null";
}

// A yes explains itself, unless somebody wants to know.
void print_findings(std::ostream& out, const Survey& survey, bool all, const Palette& palette) {
  constexpr std::size_t id_width = 33;
  constexpr std::size_t status_width = 8;
  constexpr std::size_t indent = 4;
  std::map<std::string, std::string> helps;
  for (const Finding& finding : survey.findings.all()) {
    std::string beside = finding.basis == Basis::verified ? "verified" : "";
    if (!finding.value.empty()) beside += (beside.empty() ? "" : "  ") + finding.value;
    out << padded(finding.id, id_width);
    if (beside.empty()) {
      out << palette.status(finding.status, to_string(finding.status)) << "\n";
    } else {
      out << palette.status(finding.status, padded(to_string(finding.status), status_width));
      wrapped(out, beside, id_width + status_width);
    }
    if (all || finding.status != Status::yes) {
      out << std::string(indent, ' ');
      wrapped(out, finding.reason, indent);
    }
    if (!finding.remedy) continue;
    // One cause often answers several questions: what helps is said once.
    const auto [first, is_new] = helps.emplace(finding.remedy->text, finding.id);
    if (is_new)
      print_remedy(out, *finding.remedy, indent);
    else
      print_remedy(out, {"What helps " + first->second + " helps here.", {}}, indent);
  }
}

void print_table(std::ostream& out, const Survey& survey, bool all, const Palette& palette) {
  out << "effective mode  " << palette.mode(survey.capabilities.effective_mode) << "\n"
      << "assessed mode   " << palette.mode(survey.assessment.mode) << "\n\n";
  print_findings(out, survey, all, palette);

  if (!survey.unmet_for_full.empty()) out << "\nmissing for full:\n";
  for (const Unmet& unmet : survey.unmet_for_full) {
    out << "  ";
    wrapped(out, unmet.capability + ": " + unmet.reason, 4);
  }
  if (!survey.assessment.disagreements.empty())
    out << "\nwhere the reference and what works differ:\n";
  for (const Disagreement& one : survey.assessment.disagreements) {
    out << "  ";
    wrapped(out,
            one.field + ": reference " + text_of(one.reference) + ", assessed " +
                text_of(one.assessed) + ": " + one.why,
            4);
  }
  out << "\nnetwork         ";
  wrapped(out,
          survey.overlay.network + (survey.overlay.fallback_reason
                                        ? " (" + *survey.overlay.fallback_reason + ")"
                                        : std::string{}),
          16);
  out << "rootfs          " << survey.rootfs.driver << "\n";
}

// Nothing when there is none, and standard error says why.
std::optional<Survey> make_survey(const Settings& settings, const Ids& to_verify) {
  if (settings.pid == 0) return survey_once(settings, to_verify);
  auto survey = survey_subject_once(settings);
  if (survey) return std::move(*survey);
  std::cerr << "surveyd: process " << settings.pid
            << " cannot be surveyed: " << to_string(survey.error()) << "\n";
  return std::nullopt;
}

}  // namespace

int survey(const Settings& settings) {
  const auto made = make_survey(settings, settings.verify ? verifiable(settings) : Ids{});
  if (!made) return EXIT_FAILURE;
  const Survey& survey = *made;
  if (settings.json)
    std::cout << (settings.all ? json::findings(survey) : json::capabilities(survey));
  else
    print_table(std::cout, survey, settings.all, Palette{});
  return leave(written());
}

namespace {

void print_finding(std::ostream& out, const Finding& finding, const std::string& summary,
                   const Palette& palette) {
  constexpr std::size_t indent = 11;
  const auto line = [&out](const char* name, const std::string& text) {
    out << padded(name, indent);
    wrapped(out, text, indent);
  };
  out << printable(finding.id) << "  " << palette.status(finding.status, to_string(finding.status))
      << "  (" << to_string(finding.basis) << ")\n\n";
  line("asks", summary);
  line("answer", finding.reason);
  if (!finding.value.empty()) line("value", finding.value);
  line("because", std::string{to_string(finding.code)} + ": " + meaning_of(finding.code));
  if (finding.remedy) {
    out << "\n";
    print_remedy(out, *finding.remedy, 0);
  }
  out << "\nevidence\n";
  for (const Evidence& one : finding.evidence) {
    out << "  ";
    wrapped(out, one.source + ": " + (one.error ? errno_name(one.error) : one.value), 4);
  }
}

}  // namespace

int explain(const Settings& settings) {
  const Ids ids = settings.verify ? verifiable(settings, {settings.finding}) : Ids{};
  const auto survey = make_survey(settings, ids);
  if (!survey) return EXIT_FAILURE;
  const Finding& finding = *survey->findings.find(settings.finding);
  if (settings.json)
    std::cout << json::finding(finding);
  else
    print_finding(std::cout, finding, summary_of(finding.id, settings), Palette{});
  return leave(written());
}

}  // namespace surveyd::cli
