#include <gtest/gtest.h>

#include <surveyd/decisions.hpp>

#include "support/findings.hpp"

namespace surveyd::test {
namespace {

TEST(CapabilityOverlayFallback, IsSilentWhenNothingIsMissing) {
  EXPECT_EQ(capability_overlay_fallback(true, true), std::nullopt);
}

TEST(CapabilityOverlayFallback, NamesExactlyWhatIsMissing) {
  struct Row {
    bool net_admin;
    bool tun;
  };
  for (const auto& [net_admin, tun] : {Row{false, false}, Row{false, true}, Row{true, false}}) {
    SCOPED_TRACE(testing::Message() << "net_admin " << net_admin << " tun " << tun);
    const auto sentence = capability_overlay_fallback(net_admin, tun);
    ASSERT_TRUE(sentence);
    EXPECT_EQ(sentence->find("CAP_NET_ADMIN") == std::string::npos, net_admin);
    EXPECT_EQ(sentence->find("/dev/net/tun") == std::string::npos, tun);
  }
}

struct RootlessRow {
  bool is_root, net_admin, tun, pasta, possible;
};

constexpr RootlessRow rootless_rows[] = {
    {false, false, false, false, false}, {false, false, false, true, false},
    {false, false, true, false, false},  {false, false, true, true, true},
    {false, true, false, false, false},  {false, true, false, true, false},
    {false, true, true, false, false},   {false, true, true, true, false},
    {true, false, false, false, false},  {true, false, false, true, false},
    {true, false, true, false, false},   {true, false, true, true, false},
    {true, true, false, false, false},   {true, true, false, true, false},
    {true, true, true, false, false},    {true, true, true, true, false}};

TEST(CanRootlessOverlay, HoldsInOneRowOfItsTable) {
  for (const RootlessRow& row : rootless_rows) {
    SCOPED_TRACE(testing::Message() << row.is_root << row.net_admin << row.tun << row.pasta);
    EXPECT_EQ(can_rootless_overlay(row.is_root, row.net_admin, row.tun, row.pasta), row.possible);
  }
}

struct ScopeRow {
  const char* scope;
  const char* parent;
};

constexpr ScopeRow scope_rows[] = {{"", "/containers"},
                                   {"/", "/containers"},
                                   {"///", "/containers"},
                                   {"/init", "/containers"},
                                   {"/init/", "/containers"},
                                   {"//init", "/containers"},
                                   {"/a", "/a/containers"},
                                   {"/a/", "/a/containers"},
                                   {"/a//", "/a/containers"},
                                   {"/a/b", "/a/b/containers"},
                                   {"/a/init", "/a/containers"},
                                   {"/a/init/", "/a/containers"},
                                   {"/a//init//", "/a/containers"},
                                   {"/a/initx", "/a/initx/containers"},
                                   {"/a/xinit", "/a/xinit/containers"},
                                   {"/a/INIT", "/a/INIT/containers"},
                                   {"/a/init.scope", "/a/init.scope/containers"},
                                   {"/init.scope", "/init.scope/containers"},
                                   {"/init/a", "/init/a/containers"},
                                   {"/init/init", "/init/containers"},
                                   {"/a/init/init/", "/a/init/containers"},
                                   {"/../a", "/../a/containers"},
                                   {"/a b:c", "/a b:c/containers"},
                                   {"/containers", "/containers/containers"}};

TEST(ContainerParentFor, StripsSlashesAndOneLeaf) {
  for (const auto& [scope, parent] : scope_rows) EXPECT_EQ(container_parent_for(scope), parent);
}

TEST(ContainerParentFor, IsTheSameBeforeAndAfterTheMoveIntoTheLeaf) {
  for (const std::string scope : {"", "/", "/a", "/a/", "/a/b", "/a/initx", "/../a", "/init/a"}) {
    const bool slash = scope.ends_with('/');
    const std::string leaf = scope + (slash ? "init" : "/init");
    EXPECT_EQ(container_parent_for(leaf), container_parent_for(scope)) << '"' << scope << '"';
  }
}

Findings network(Status root, Status net_admin, Status tun, const char* device, Status pasta) {
  return Findings{{found("is_root", root), found("has_cap_net_admin", net_admin),
                   found("tun_device_available", tun, device), found("pasta_available", pasta)}};
}

TEST(DecideOverlay, TakesThePrivilegedPathWithTheCapabilityAndTheDevice) {
  const auto decision =
      decide_overlay(network(Status::yes, Status::yes, Status::yes, "10:200", Status::no));
  EXPECT_STREQ(decision.network, "overlay");
  EXPECT_EQ(decision.fallback_reason, std::nullopt);
  EXPECT_FALSE(decision.rootless_possible);
}

TEST(DecideOverlay, TakesTheRootlessPathWhereOnlyThatIsLeft) {
  const auto decision =
      decide_overlay(network(Status::no, Status::no, Status::yes, "10:200", Status::yes));
  EXPECT_STREQ(decision.network, "rootless_overlay");
  EXPECT_TRUE(decision.rootless_possible);
  EXPECT_TRUE(decision.fallback_reason);
}

TEST(DecideOverlay, FallsBackToTheHostNetwork) {
  const auto decision =
      decide_overlay(network(Status::no, Status::no, Status::yes, "10:200", Status::no));
  EXPECT_STREQ(decision.network, "host");
  EXPECT_FALSE(decision.rootless_possible);
  EXPECT_TRUE(decision.fallback_reason);
}

TEST(DecideOverlay, DoesNotTakeAnotherNodeForTheTunDevice) {
  for (const char* device : {"", "10:229", "1:3", "10:2000", "110:200", "10:200 "}) {
    const auto privileged =
        decide_overlay(network(Status::yes, Status::yes, Status::yes, device, Status::yes));
    EXPECT_STREQ(privileged.network, "host") << device;
    const auto rootless =
        decide_overlay(network(Status::no, Status::no, Status::yes, device, Status::yes));
    EXPECT_STREQ(rootless.network, "host") << device;
  }
}

TEST(DecideOverlay, CountsNoUnknownAsYes) {
  for (const Findings& findings :
       {network(Status::yes, Status::unknown, Status::yes, "10:200", Status::yes),
        network(Status::yes, Status::yes, Status::unknown, "10:200", Status::yes),
        network(Status::no, Status::no, Status::yes, "10:200", Status::unknown), Findings{}})
    EXPECT_STREQ(decide_overlay(findings).network, "host");
}

Findings rootfs(Status overlay, Status fuse, const char* fusermount) {
  return Findings{{found("overlayfs_rootfs_available", overlay),
                   found("fuse_overlayfs_rootfs_available", fuse, fusermount)}};
}

TEST(DecideRootfs, PrefersTheKernelThenFuse) {
  for (const Status overlay : every_status)
    for (const Status fuse : every_status) {
      SCOPED_TRACE(std::string{to_string(overlay)} + " " + to_string(fuse));
      const char* driver = decide_rootfs(rootfs(overlay, fuse, "")).driver;
      if (overlay == Status::yes)
        EXPECT_STREQ(driver, "overlayfs");
      else if (fuse == Status::yes)
        EXPECT_STREQ(driver, "fuse-overlayfs");
      else
        EXPECT_STREQ(driver, "none");
    }
}

TEST(DecideRootfs, SaysWhereFusermountIsEvenWithoutADriver) {
  EXPECT_EQ(decide_rootfs(rootfs(Status::no, Status::no, "/bin/fusermount3")).fusermount,
            "/bin/fusermount3");
  EXPECT_EQ(decide_rootfs(rootfs(Status::yes, Status::no, "")).fusermount, std::nullopt);
  EXPECT_EQ(decide_rootfs(Findings{}).fusermount, std::nullopt);
}

}  // namespace
}  // namespace surveyd::test
