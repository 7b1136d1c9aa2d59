#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <surveyd/finding.hpp>
#include <surveyd/host.hpp>

#include "run/verifier.hpp"

namespace surveyd::run {

/// What a verified answer depends on besides what the probe itself claims: it holds for as long as
/// all of this is the same.
struct Surroundings {
  /// Boot, kernel, security modules, and the binary, as AppArmor binds to its path. By source; what
  /// cannot be read has the errno for its text.
  std::map<std::string, std::string> facts;
  std::vector<std::string> mounts;  ///< lines of mountinfo

  bool operator==(const Surroundings&) const = default;
};

/// `storage` are the paths that were verified on. Reads files of the kernel only: it must not wait
/// for a device or a server, and so follows no links of these paths.
[[nodiscard]] Surroundings read_surroundings(const Host& host,
                                             const std::vector<std::string>& storage);

/// The lines of `/proc/self/mountinfo` for mounts at or above one of these paths. On a container
/// host others come and go every second.
[[nodiscard]] std::vector<std::string> mounts_over(std::string_view mountinfo,
                                                   const std::vector<std::string>& paths);

/// Whether what was verified can still be told from what the probe claims now: a device that is
/// gone, or that does not answer, is another claim.
[[nodiscard]] bool still_holds(const Verification& verification, const Finding& claim);

/// What has been verified, and takes the place of claims until it expires. For any thread.
class VerifiedResults {
 public:
  /// `host` outlives it.
  VerifiedResults(const Host& host, std::vector<std::string> storage)
      : host_(host), storage_(std::move(storage)) {}

  /// To be asked for before a verification begins: what changes meanwhile counts.
  [[nodiscard]] Surroundings surroundings() const { return read_surroundings(host_, storage_); }

  /// In the place of earlier ones of the same ids. All others hold on where these surroundings are
  /// theirs as well.
  void add(std::vector<Verification> verifications, Surroundings surroundings);

  /// The claims, with what still holds in the place of some; what does not is forgotten.
  [[nodiscard]] Findings replace(const Findings& claims);

 private:
  const Host& host_;
  std::vector<std::string> storage_;
  std::mutex mutex_;
  std::map<std::string, Verification, std::less<>> known_;
  Surroundings surroundings_;
};

}  // namespace surveyd::run
