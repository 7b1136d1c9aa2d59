#include "probes/attempts.hpp"

#include <cerrno>

#include <gtest/gtest.h>

#include "host/mounts.hpp"
#include "probes/overlay_trial.hpp"
#include "support/machine.hpp"

namespace surveyd::test {
namespace {

using probes::Failure;

Finding claimed(Status status, ReasonCode code) {
  Finding claim;
  claim.id = "some_capability";
  claim.status = status;
  claim.code = code;
  claim.reason = "as claimed";
  claim.remedy = Remedy{"Do this.", "this"};
  return claim;
}

Finding refused(const Machine& machine, Error error, bool was_accepted = false) {
  return probes::refused(claimed(Status::yes, ReasonCode::available), machine.host,
                         Failure{std::move(error), was_accepted}, "an overlay");
}

Error from_program(std::string complaint) {
  return {.code = Fault::program_failed, .op = "run", .detail = std::move(complaint)};
}

TEST(Refused, IsNoWithTheErrno) {
  const Machine machine;
  const Finding finding = refused(machine, os_error(EPERM, "mount(overlay)", "/var/lib/merged"));
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.basis, Basis::verified);
  EXPECT_EQ(finding.code, ReasonCode::refused);
  EXPECT_NE(finding.reason.find("mount(overlay) /var/lib/merged: EPERM"), std::string::npos);
  EXPECT_FALSE(finding.remedy);
}

TEST(Refused, MisbehavesWhenTheKernelTookItFirst) {
  const Machine machine;
  const Finding finding = refused(machine, os_error(EIO, "rmdir", "/merged/both"), true);
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.code, ReasonCode::misbehaves);
}

TEST(Refused, SaysNothingWhenThisProcessRanOut) {
  const Machine machine;
  for (const int number : {EMFILE, ENFILE, ENOMEM, EAGAIN}) {
    const Finding finding = refused(machine, os_error(number, "open"));
    EXPECT_EQ(finding.status, Status::unknown) << number;
    EXPECT_EQ(finding.code, ReasonCode::out_of_resources) << number;
  }
  EXPECT_EQ(refused(machine, from_program("pasta: Too many open files")).status, Status::unknown);
}

TEST(Refused, SaysNothingWhenACallIsFilteredAway) {
  const Machine machine;
  const Finding finding = refused(machine, os_error(ENOSYS, "unshare(CLONE_NEWNS)"));
  EXPECT_EQ(finding.status, Status::unknown);
  EXPECT_EQ(finding.code, ReasonCode::call_missing);
}

TEST(Refused, SaysNothingWhenAProgramIsTooSlow) {
  const Machine machine;
  const Finding finding = refused(machine, {.code = Fault::timed_out, .op = "run"});
  EXPECT_EQ(finding.status, Status::unknown);
  EXPECT_EQ(finding.code, ReasonCode::timed_out);
}

TEST(Refused, QuotesWhatAProgramComplainedOf) {
  const Machine machine;
  const Finding finding = refused(machine, from_program("cannot mount: Permission denied"));
  EXPECT_EQ(finding.code, ReasonCode::refused);
  EXPECT_NE(finding.reason.find("cannot mount: Permission denied"), std::string::npos);
}

TEST(Refused, NamesTheSysctlThatAllowsNoNamespaces) {
  Machine machine;
  machine.host.add_file("/proc/sys/user/max_mnt_namespaces", "0\n");
  const Finding finding = refused(machine, os_error(ENOSPC, "unshare(CLONE_NEWNS)"));
  EXPECT_EQ(finding.code, ReasonCode::disabled_by_sysctl);
  EXPECT_NE(finding.reason.find("user.max_mnt_namespaces is 0"), std::string::npos);
  EXPECT_TRUE(finding.remedy);
}

TEST(Refused, KnowsALimitThatIsReached) {
  Machine machine;
  machine.host.add_file("/proc/sys/user/max_user_namespaces", "10\n");
  const Finding finding = refused(machine, os_error(ENOSPC, "unshare(CLONE_NEWUSER)"));
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.code, ReasonCode::limit_reached);
}

TEST(Refused, NamesDebiansSysctl) {
  Machine machine;
  machine.host.add_file("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
  EXPECT_EQ(refused(machine, os_error(EPERM, "unshare(CLONE_NEWUSER|CLONE_NEWNS)")).code,
            ReasonCode::disabled_by_sysctl);
}

// Ubuntu 24.04: the namespace is made, and nothing is permitted in it.
TEST(Refused, NamesAppArmorAfterTheNamespaceWasMade) {
  Machine machine;
  machine.host.add_file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
  for (const char* op : {"write", "mount(tmpfs)"})
    EXPECT_EQ(refused(machine, os_error(EPERM, op)).code, ReasonCode::restricted_by_lsm) << op;
  EXPECT_EQ(refused(machine, os_error(EPERM, "unshare(CLONE_NEWNS)")).code, ReasonCode::refused);
}

TEST(Refused, LeavesACauseThatTheClaimFoundAndItsRemedy) {
  const Machine machine;
  const Finding finding =
      probes::refused(claimed(Status::no, ReasonCode::device_denied), machine.host,
                      Failure{os_error(EACCES, "open", "/dev/net/tun")}, "a TUN interface");
  EXPECT_EQ(finding.status, Status::no);
  EXPECT_EQ(finding.basis, Basis::verified);
  EXPECT_EQ(finding.code, ReasonCode::device_denied);
  EXPECT_TRUE(finding.reason.starts_with("as claimed"));
  EXPECT_TRUE(finding.remedy);
}

class WithoutScratch : public ::testing::Test {
 protected:
  Machine machine;
  Subject subject{machine.host, {}};

  Finding ask(Status claim, int error_number) {
    const Trial trial{subject, claimed(claim, ReasonCode::available),
                      os_error(error_number, "mkdir", "/var/lib/x"), false};
    return probes::without_scratch(trial, "an overlay on /var/lib");
  }
};

TEST_F(WithoutScratch, IsNoWhereThePathIsNotOurs) {
  EXPECT_EQ(ask(Status::yes, EACCES).code, ReasonCode::permission_denied);
  EXPECT_EQ(ask(Status::yes, EROFS).code, ReasonCode::read_only);
  EXPECT_EQ(ask(Status::yes, EROFS).status, Status::no);
}

TEST_F(WithoutScratch, IsUnknownWhenItOnlyFailedNow) {
  EXPECT_EQ(ask(Status::yes, ENOSPC).status, Status::unknown);
  EXPECT_EQ(ask(Status::yes, EMFILE).status, Status::unknown);
}

TEST_F(WithoutScratch, LeavesANoAsItWasClaimed) {
  const Finding finding = ask(Status::no, EACCES);
  EXPECT_EQ(finding.basis, Basis::claimed);
  EXPECT_EQ(finding.reason, "as claimed");
}

class SpareModule : public ::testing::Test {
 protected:
  Machine machine;
  Subject subject{machine.host, {}};
  Trial trial{subject, claimed(Status::yes, ReasonCode::loadable), std::string{"/scratch"}, false};

  void forget_overlay() { machine.host.add_file("/proc/filesystems", "nodev\tsysfs\n"); }
};

TEST_F(SpareModule, LetsTryWhatTheKernelHas) {
  EXPECT_FALSE(probes::spare_module(trial, "overlay"));
}

TEST_F(SpareModule, StopsWhereTryingWouldLoadIt) {
  forget_overlay();
  const auto finding = probes::spare_module(trial, "overlay");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->basis, Basis::claimed);
  EXPECT_NE(finding->evidence.back().value.find("overlay would be loaded"), std::string::npos);
}

TEST_F(SpareModule, LetsTryWhenLoadingIsAllowed) {
  forget_overlay();
  trial.may_load_modules = true;
  EXPECT_FALSE(probes::spare_module(trial, "overlay"));
}

TEST(Overlay, NamesItsDirectoriesWhateverIsInTheirPaths) {
  const Overlay overlay{
      .lowers = {"/a:b/1", "/a,b/2"}, .upper = R"(/c\d)", .work = "/w", .target = "/t"};
  EXPECT_EQ(overlay.directories(), R"(lowerdir=/a\:b/1:/a\,b/2,upperdir=/c\\d,workdir=/w)");
}

}  // namespace
}  // namespace surveyd::test
