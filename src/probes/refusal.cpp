#include "probes/refusal.hpp"

#include <utility>

#include "probes/answer.hpp"
#include "probes/attempts.hpp"

namespace surveyd::probes {

Finding refused_in_place(Finding claim, const Error& error, const std::string& what) {
  const std::string step = describe_step(error);
  if (is_inconclusive(error.code))
    return verified(std::move(claim), Status::unknown, code_of(error),
                    what + " cannot be tried: " + step);
  if (claim.status != Status::no)
    return verified(std::move(claim), Status::no, ReasonCode::refused,
                    what + " was tried and refused: " + step);
  const ReasonCode code = claim.code;
  const std::string reason = claim.reason + " (tried: " + step + ")";
  return verified(std::move(claim), Status::no, code, reason);
}

}  // namespace surveyd::probes
