#include <algorithm>
#include <string_view>

#include <surveyd/finding.hpp>

namespace surveyd {

const char* to_string(Status status) {
  switch (status) {
    case Status::no:
      return "no";
    case Status::yes:
      return "yes";
    case Status::unknown:
      break;
  }
  return "unknown";
}

const Finding* Findings::find(std::string_view id) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [id](const Finding& finding) { return finding.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

void Findings::doubt(std::string_view id, std::string reason) {
  for (Finding& finding : all_) {
    if (finding.id != id) continue;
    finding.status = Status::unknown;
    finding.reason = std::move(reason);
    return;
  }
}

Status Findings::status(std::string_view id) const {
  const Finding* finding = find(id);
  return finding != nullptr ? finding->status : Status::unknown;
}

std::string Findings::value(std::string_view id) const {
  const Finding* finding = find(id);
  return finding != nullptr ? finding->value : std::string{};
}

std::string Findings::reason(std::string_view id) const {
  const Finding* finding = find(id);
  return finding != nullptr ? finding->reason : "it was not probed";
}

}  // namespace surveyd
