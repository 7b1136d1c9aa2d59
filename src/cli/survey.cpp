#include <cstdlib>
#include <iostream>
#include <string>

#include <unistd.h>

#include <surveyd/probe.hpp>

#include "cli/commands.hpp"
#include "cli/once.hpp"
#include "host/real_host.hpp"
#include "json/documents.hpp"

namespace surveyd::cli {
namespace {

constexpr std::size_t width = 80;

/// Colours where somebody looks: on a terminal that did not ask for none (no-color.org).
class Palette {
 public:
  Palette() : on_(::isatty(STDOUT_FILENO) == 1 && no_color_unset()) {}

  [[nodiscard]] std::string paint(const std::string& text, const char* code) const {
    return on_ ? std::string{"\033["} + code + "m" + text + "\033[0m" : text;
  }
  [[nodiscard]] std::string status(Status status, const std::string& padded) const {
    return paint(padded, status == Status::yes ? "32" : status == Status::no ? "31" : "33");
  }
  [[nodiscard]] std::string mode(Mode mode) const {
    return paint(to_string(mode), mode == Mode::full              ? "1;32"
                                  : mode == Mode::nested_adaptive ? "1;33"
                                                                  : "1;31");
  }

 private:
  static bool no_color_unset() {
    const char* no_color = std::getenv("NO_COLOR");
    return no_color == nullptr || *no_color == '\0';
  }
  bool on_;
};

// A cgroup can be named to move the cursor.
std::string printable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return result;
}

std::string padded(std::string text, std::size_t size) {
  text.resize(std::max(text.size(), size), ' ');
  return text;
}

// Writes `text` from the current column on, breaking at blanks and, where there is none, anywhere.
void wrapped(std::ostream& out, const std::string& raw, std::size_t indent) {
  const std::string text = printable(raw);
  const std::size_t room = width - indent;
  std::size_t at = 0;
  while (text.size() - at > room) {
    std::size_t end = text.rfind(' ', at + room);
    if (end == std::string::npos || end <= at) end = at + room;
    out << text.substr(at, end - at) << "\n" << std::string(indent, ' ');
    at = text[end] == ' ' ? end + 1 : end;
  }
  out << text.substr(at) << "\n";
}

std::string text_of(const FieldValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return "null";
}

void print_findings(std::ostream& out, const Survey& survey, const Palette& palette) {
  constexpr std::size_t id_width = 33;
  constexpr std::size_t status_width = 8;
  for (const Finding& finding : survey.findings.all()) {
    out << padded(finding.id, id_width)
        << palette.status(finding.status, padded(to_string(finding.status), status_width));
    wrapped(out,
            finding.id == "cgroup_parent" && finding.status == Status::yes ? finding.value
                                                                           : finding.reason,
            id_width + status_width);
  }
}

void print_table(std::ostream& out, const Survey& survey, const Palette& palette) {
  out << "effective mode  " << palette.mode(survey.capabilities.effective_mode) << "\n"
      << "assessed mode   " << palette.mode(survey.assessment.mode) << "\n\n";
  print_findings(out, survey, palette);

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

}  // namespace

Survey survey_once(const Settings& settings) {
  const RealHost host;
  SurveyRun run;
  run.generation = 1;
  run.surveyed_at = std::chrono::system_clock::now();
  const auto begun = std::chrono::steady_clock::now();
  Findings findings = run_probes(catalogue(), host, container_plan(settings));
  run.duration = std::chrono::steady_clock::now() - begun;
  return conclude(std::move(findings), run);
}

int survey(const Settings& settings) {
  const Survey survey = survey_once(settings);
  if (settings.json)
    std::cout << json::capabilities(survey);
  else
    print_table(std::cout, survey, Palette{});
  std::cout.flush();
  if (std::cout) return EXIT_SUCCESS;
  std::cerr << "surveyd: the survey cannot be written to standard output\n";
  return EXIT_FAILURE;
}

}  // namespace surveyd::cli
