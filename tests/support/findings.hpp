#pragma once

#include <string>
#include <utility>
#include <vector>

#include <surveyd/finding.hpp>

namespace surveyd::test {

/// One made-up answer.
inline Finding found(std::string id, Status status, std::string value = {}) {
  Finding finding;
  finding.reason = "reason of " + id;
  finding.id = std::move(id);
  finding.status = status;
  finding.value = std::move(value);
  return finding;
}

inline Status yes_or_no(bool truth) {
  return truth ? Status::yes : Status::no;
}

inline constexpr Status every_status[] = {Status::no, Status::yes, Status::unknown};

}  // namespace surveyd::test
