#include "probes/inquiry.hpp"

#include <algorithm>
#include <utility>

#include "probes/answer.hpp"

namespace surveyd::probes {
namespace {

void append(std::string& text, const char* separator, const std::string& more) {
  if (more.empty()) return;
  if (!text.empty()) text += separator;
  text += more;
}

}  // namespace

void Inquiry::no(ReasonCode code, std::string reason, std::optional<Remedy> remedy) {
  objections_.push_back({Status::no, code, std::move(reason), std::move(remedy)});
}

void Inquiry::unknown(ReasonCode code, std::string reason, std::optional<Remedy> remedy) {
  objections_.push_back({Status::unknown, code, std::move(reason), std::move(remedy)});
}

Finding Inquiry::conclude(std::string reason_for_yes) const {
  Finding finding = yes(std::move(reason_for_yes));
  finding.evidence = evidence_;
  if (objections_.empty()) return finding;
  const auto is_no = [](const Objection& one) { return one.status == Status::no; };
  const auto first_no = std::find_if(objections_.begin(), objections_.end(), is_no);
  const Objection& first = first_no == objections_.end() ? objections_.front() : *first_no;

  finding.status = first.status;
  finding.code = first.code;
  finding.reason.clear();
  Remedy remedy;
  bool remediable = true;
  bool all_have_commands = true;
  for (const Objection& one : objections_) {
    if (one.status != first.status) continue;
    append(finding.reason, "; ", one.reason);
    remediable = remediable && one.remedy.has_value();
    if (!one.remedy) continue;
    append(remedy.text, " ", one.remedy->text);
    append(remedy.command, " && ", one.remedy->command);
    all_have_commands = all_have_commands && !one.remedy->command.empty();
  }
  // Half of the commands would look like all of them.
  if (!all_have_commands) remedy.command.clear();
  if (remediable) finding.remedy = std::move(remedy);
  return finding;
}

}  // namespace surveyd::probes
