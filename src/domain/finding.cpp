#include <algorithm>
#include <array>
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

const char* to_string(Basis basis) {
  return basis == Basis::verified ? "verified" : "claimed";
}

const char* to_string(ReasonCode code) {
  switch (code) {
#define REASON(name, meaning) \
  case ReasonCode::name:      \
    return #name;
#include <surveyd/reason_codes.def>
#undef REASON
  }
  return "not_probed";
}

const char* meaning_of(ReasonCode code) {
  switch (code) {
#define REASON(name, meaning) \
  case ReasonCode::name:      \
    return meaning;
#include <surveyd/reason_codes.def>
#undef REASON
  }
  return "";
}

std::span<const ReasonCode> reason_codes() {
#define REASON(name, meaning) ReasonCode::name,
  static constexpr std::array all = {
#include <surveyd/reason_codes.def>
  };
#undef REASON
  return all;
}

bool is_same_answer(const Finding& one, const Finding& other) {
  return one.status == other.status && one.code == other.code;
}

const Finding* Findings::find(std::string_view id) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [id](const Finding& finding) { return finding.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

void Findings::doubt(std::string_view id, ReasonCode code, std::string reason) {
  for (Finding& finding : all_) {
    if (finding.id != id) continue;
    finding.status = Status::unknown;
    finding.code = code;
    finding.reason = std::move(reason);
    finding.remedy.reset();
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
