#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <surveyd/finding.hpp>

namespace surveyd::probes {

/// What was seen on the way to an answer, and what stands in the way of a yes, gathered from
/// several signs. One clear no decides, whatever else is unknown.
class Inquiry {
 public:
  void saw(Evidence evidence) { evidence_.push_back(std::move(evidence)); }
  void no(ReasonCode code, std::string reason, std::optional<Remedy> remedy = {});
  void unknown(ReasonCode code, std::string reason, std::optional<Remedy> remedy = {});

  /// A yes with that reason when nothing was objected. Otherwise the code is that of the first
  /// objection that decides, the reason names all that do, and so does the remedy: following it
  /// leaves nothing in the way. There is none where one of them has none.
  [[nodiscard]] Finding conclude(std::string reason_for_yes) const;

 private:
  struct Objection {
    Status status = Status::no;
    ReasonCode code = ReasonCode::probe_failed;
    std::string reason;
    std::optional<Remedy> remedy;
  };
  std::vector<Objection> objections_;
  std::vector<Evidence> evidence_;
};

}  // namespace surveyd::probes
