#include "run/verified_results.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "run/verifier.hpp"
#include "support/fixture_host.hpp"

namespace surveyd::test {
namespace {

using run::mounts_over;
using run::Verification;
using run::VerificationOrder;
using run::VerifiedResults;

Finding made(Status status, ReasonCode code, std::string value = {}) {
  Finding finding;
  finding.id = "tun_device_available";
  finding.status = status;
  finding.code = code;
  finding.value = std::move(value);
  return finding;
}

Finding claim() {
  return made(Status::yes, ReasonCode::not_probed, "10:200");
}

Verification refuted() {
  Finding finding = made(Status::no, ReasonCode::refused);
  finding.basis = Basis::verified;
  return {claim(), finding};
}

class VerifiedResultsTest : public testing::Test {
 protected:
  VerifiedResultsTest() {
    host.add_file(mountinfo, root + device);
    host.add_file(boot, "one\n");
    host.add_file(modules, "lockdown,capability\n");
    host.add_file(label, "unconfined\n");
    host.variables["PATH"] = "/usr/bin:/opt/helpers";
  }

  void verify() { results.add({refuted()}, results.surroundings()); }
  [[nodiscard]] Status now(const Finding& claimed = claim()) {
    return results.replace(Findings{{claimed}}).status("tun_device_available");
  }
  void mount(const std::string& point) {
    host.nodes[mountinfo].content += "90 20 0:50 / " + point + " rw - tmpfs tmpfs rw\n";
  }

  const std::string mountinfo = "/proc/self/mountinfo";
  const std::string boot = "/proc/sys/kernel/random/boot_id";
  const std::string modules = "/sys/kernel/security/lsm";
  const std::string label = "/proc/self/attr/current";
  const std::string root = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  const std::string device = "21 20 0:5 / /dev rw - devtmpfs udev rw\n";
  FixtureHost host;
  VerifiedResults results{host, {"/srv/containers"}};
};

TEST_F(VerifiedResultsTest, NothingVerifiedLeavesTheClaims) {
  EXPECT_EQ(now(), Status::yes);
}

TEST_F(VerifiedResultsTest, WhatWasVerifiedTakesThePlaceOfItsClaimInEverySurvey) {
  verify();
  EXPECT_EQ(now(), Status::no);
  EXPECT_EQ(now(), Status::no);
  const Findings findings = results.replace(Findings{{claim()}});
  EXPECT_EQ(findings.all().front().basis, Basis::verified);
}

TEST_F(VerifiedResultsTest, ExpiresForGoodWhenTheProbeClaimsSomethingElse) {
  for (const Finding& other : {made(Status::no, ReasonCode::device_missing, "10:200"),
                               made(Status::unknown, ReasonCode::timed_out),
                               made(Status::yes, ReasonCode::not_the_device, "10:200"),
                               made(Status::yes, ReasonCode::not_probed, "1:3")}) {
    verify();
    EXPECT_EQ(now(other), other.status);
    EXPECT_EQ(now(), Status::yes) << "expired results must not come back";
  }
}

TEST_F(VerifiedResultsTest, ExpiresWithAnotherBootKernelOrSecurityModule) {
  for (const std::string& file : {boot, modules, label}) {
    verify();
    host.nodes[file].content += "2";
    EXPECT_EQ(now(), Status::yes) << file;
  }
  verify();
  host.release = "6.2.0";
  EXPECT_EQ(now(), Status::yes);
}

TEST_F(VerifiedResultsTest, ExpiresWithAMountOverWhatItDependsOn) {
  for (const char* point : {"/dev/net", "/srv", "/srv/containers", "/opt", "/sys", "/proc/sys"}) {
    verify();
    mount(point);
    EXPECT_EQ(now(), Status::yes) << point;
  }
  verify();
  host.nodes[mountinfo].content = root;
  EXPECT_EQ(now(), Status::yes) << "/dev is gone";
}

TEST_F(VerifiedResultsTest, HoldsWhileContainersComeAndGo) {
  verify();
  for (const char* point : {"/srv/containers/overlay/1/merged", "/run/netns/one", "/srv/contain",
                            "/dev/shm", "/sys/fs/bpf"})
    mount(point);
  EXPECT_EQ(now(), Status::no);
}

TEST_F(VerifiedResultsTest, WhatCouldNotBeReadBeforeAndCanNowIsAChange) {
  host.errors[boot] = EACCES;
  verify();
  EXPECT_EQ(now(), Status::no);
  host.errors.clear();
  EXPECT_EQ(now(), Status::yes);
}

TEST_F(VerifiedResultsTest, WhatChangesDuringTheVerificationCounts) {
  auto before = results.surroundings();
  mount("/dev/net");
  results.add({refuted()}, std::move(before));
  EXPECT_EQ(now(), Status::yes);
}

TEST_F(VerifiedResultsTest, AFailureIsShownAsOneOnce) {
  Finding none = run::no_answer("tun_device_available", ReasonCode::timed_out, "timed out");
  results.add({{claim(), none}}, results.surroundings());
  EXPECT_TRUE(results.replace(Findings{{claim()}}).all().front().failed);
  const Findings later = results.replace(Findings{{claim()}});
  EXPECT_FALSE(later.all().front().failed);
  EXPECT_EQ(later.all().front().code, ReasonCode::timed_out);
}

TEST(MountsOver, AreThoseAtAPathOrAboveIt) {
  const std::string text =
      "1 0 8:1 / / rw - ext4 a rw\n"
      "2 1 8:2 / /var/lib rw - ext4 b rw\n"
      "3 1 8:3 / /var/library rw - ext4 c rw\n"
      "4 2 8:4 / /var/lib/containers rw - ext4 d rw\n"
      "5 1 8:5 / /with\\040blank rw - ext4 e rw\n";
  EXPECT_EQ(mounts_over(text, {"/var/lib"}).size(), 2U);
  EXPECT_EQ(mounts_over(text, {"/var/lib/containers/storage"}).size(), 3U);
  EXPECT_EQ(mounts_over(text, {"/with blank/x"}).size(), 2U);
  EXPECT_EQ(mounts_over("", {"/"}).size(), 0U);
}

TEST(VerificationOrder, SurvivesTheCommandLine) {
  const VerificationOrder order{.ids = {"one", "two"},
                                .storage = {"/var/lib", "/with blank", "--ids"},
                                .plan = {.name = "zlayer", .base = ""},
                                .may_load_modules = true,
                                .deadline = std::chrono::milliseconds{1234}};
  const auto arguments = run::arguments_of(order);
  const auto back = run::order_of(arguments);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->ids, order.ids);
  EXPECT_EQ(back->storage, order.storage);
  EXPECT_EQ(back->plan.name, order.plan.name);
  EXPECT_EQ(back->plan.base, order.plan.base);
  EXPECT_EQ(back->may_load_modules, order.may_load_modules);
  EXPECT_EQ(back->deadline, order.deadline);
}

TEST(VerificationOrder, IsNothingElse) {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{}, Words{"verify"}, Words{"verify", "x", "", "", "", "0"},
        Words{"verify", "1", "", "", "", "2", "/only-one"}, Words{"verify", "1", "", "", "", "-1"},
        Words{"other", "1", "", "", "", "0"}})
    EXPECT_FALSE(run::order_of(words));
}

}  // namespace
}  // namespace surveyd::test
