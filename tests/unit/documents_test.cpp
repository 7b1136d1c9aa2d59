// The JSON documents, byte by byte.

#include "json/documents.hpp"

#include <gtest/gtest.h>

namespace surveyd::test {
namespace {

Survey hand_made() {
  Survey survey;
  Capabilities& fields = survey.capabilities;
  fields.is_root = true;
  fields.is_nested = true;
  fields.cgroup_parent = "/system.slice/\"a\"";
  fields.has_cap_net_admin = true;
  fields.overlayfs_rootfs_available = true;
  fields.effective_mode = Mode::nested_adaptive;
  survey.assessment.mode = Mode::full;
  survey.assessment.disagreements = {
      {"effective_mode", std::string{"nested_adaptive"}, std::string{"full"}, "w1"},
      {"is_nested", true, false, "w2"},
      {"cgroup_parent", std::string{"/a"}, {}, "w3"}};
  survey.unmet_for_full = {{"is_nested", "it is"}};
  survey.overlay = {"rootless_overlay", "no overlay", true};
  survey.rootfs = {"fuse-overlayfs", "/usr/bin/fusermount3"};
  survey.run.generation = 12;
  survey.run.surveyed_at =
      std::chrono::system_clock::time_point{std::chrono::milliseconds{1700000000007}};
  survey.run.duration = std::chrono::nanoseconds{1234567};
  survey.run.interval = std::chrono::seconds{30};
  survey.run.stale = true;
  return survey;
}

TEST(CapabilitiesDocument, HasEveryMemberInItsPlace) {
  EXPECT_EQ(json::capabilities(hand_made()), R"({
  "is_root": true,
  "is_nested": true,
  "cgroup_parent": "/system.slice/\"a\"",
  "can_write_cgroup_root": false,
  "has_cap_net_admin": true,
  "tun_device_available": false,
  "overlayfs_rootfs_available": true,
  "fuse_overlayfs_rootfs_available": false,
  "effective_mode": "nested_adaptive",
  "assessed_mode": "full",
  "disagreements": [
    {
      "field": "effective_mode",
      "reference": "nested_adaptive",
      "assessed": "full",
      "why": "w1"
    },
    {
      "field": "is_nested",
      "reference": true,
      "assessed": false,
      "why": "w2"
    },
    {
      "field": "cgroup_parent",
      "reference": "/a",
      "assessed": null,
      "why": "w3"
    }
  ],
  "unmet_for_full": [
    {
      "capability": "is_nested",
      "reason": "it is"
    }
  ],
  "overlay": {
    "network": "rootless_overlay",
    "fallback_reason": "no overlay",
    "rootless_possible": true
  },
  "rootfs": {
    "driver": "fuse-overlayfs",
    "fusermount": "/usr/bin/fusermount3"
  },
  "survey": {
    "generation": 12,
    "surveyed_at": "2023-11-14T22:13:20.007Z",
    "duration_us": 1234,
    "interval_s": 30,
    "stale": true,
    "subject": "self"
  }
}
)");
}

TEST(CapabilitiesDocument, WritesNullAndEmptyLists) {
  EXPECT_EQ(json::capabilities(Survey{}), R"({
  "is_root": false,
  "is_nested": false,
  "cgroup_parent": null,
  "can_write_cgroup_root": false,
  "has_cap_net_admin": false,
  "tun_device_available": false,
  "overlayfs_rootfs_available": false,
  "fuse_overlayfs_rootfs_available": false,
  "effective_mode": "degraded",
  "assessed_mode": "degraded",
  "disagreements": [],
  "unmet_for_full": [],
  "overlay": {
    "network": "host",
    "fallback_reason": null,
    "rootless_possible": false
  },
  "rootfs": {
    "driver": "none",
    "fusermount": null
  },
  "survey": {
    "generation": 0,
    "surveyed_at": "1970-01-01T00:00:00.000Z",
    "duration_us": 0,
    "interval_s": 0,
    "stale": false,
    "subject": "self"
  }
}
)");
}

TEST(DaemonCapabilitiesDocument, HasTheShapeOfTheReference) {
  EXPECT_EQ(json::daemon_capabilities(hand_made()), R"({
  "mode": "nested_adaptive",
  "is_root": true,
  "is_nested": true,
  "cgroup_parent": "/system.slice/\"a\"",
  "can_write_cgroup_root": false,
  "has_cap_net_admin": true,
  "tun_device_available": false
}
)");
}

TEST(Documents, ReplaceBytesThatAreNotUtf8) {
  Survey survey;
  survey.capabilities.cgroup_parent = "/a\xff/\xc3(\xed\xa0\x80";
  for (const std::string& text : {json::capabilities(survey), json::daemon_capabilities(survey)}) {
    EXPECT_NE(text.find("\"/a\xef\xbf\xbd/\xef\xbf\xbd("), std::string::npos);
    EXPECT_EQ(text.find('\xff'), std::string::npos);
  }
}

TEST(Documents, EscapeControlCharacters) {
  EXPECT_EQ(json::removal({"a\n\x01\x7f\t\\\"", true}),
            "{\n  \"id\": \"a\\n\\u0001\x7f\\t\\\\\\\"\",\n  \"removed\": true\n}\n");
}

TEST(EnsuredDocument, SaysWhatBecameOfEachController) {
  EnsureReport report;
  report.container_parent = "/zlayer/containers";
  report.placement = Placement::scope;
  report.created = {"/zlayer", "/zlayer/containers"};
  report.migrated = {{42, "surveyd"}, {0, ""}};
  report.controllers = {{"cpu", true, "", {}},
                        {"io", false, "not_offered_by_parent", {}},
                        {"memory",
                         false,
                         "busy",
                         {EBUSY, std::generic_category()},
                         "/sys/fs/cgroup/cgroup.subtree_control"}};
  EXPECT_EQ(json::ensured(report), R"({
  "container_parent": "/zlayer/containers",
  "placement": "scope",
  "created": [
    "/zlayer",
    "/zlayer/containers"
  ],
  "migrated": [
    {
      "pid": 42,
      "command": "surveyd"
    },
    {
      "pid": 0,
      "command": ""
    }
  ],
  "controllers": {
    "cpu": "enabled",
    "io": {
      "reason": "not_offered_by_parent",
      "errno": null,
      "path": ""
    },
    "memory": {
      "reason": "busy",
      "errno": "EBUSY",
      "path": "/sys/fs/cgroup/cgroup.subtree_control"
    }
  }
}
)");
}

TEST(EnsuredDocument, IsWholeWhenNothingHadToBeDone) {
  EnsureReport report;
  report.container_parent = "/a/containers";
  EXPECT_EQ(json::ensured(report), R"({
  "container_parent": "/a/containers",
  "placement": "host",
  "created": [],
  "migrated": [],
  "controllers": {}
}
)");
}

TEST(ContainersDocument, ListsThem) {
  ContainerList list{"/zlayer/containers", Placement::host, true, {"cpu", "io"}, {"cpu"}, {}};
  const std::chrono::system_clock::time_point noon{std::chrono::hours{12}};
  list.containers = {{"a", true, 2, 1, {"cpu", "pids"}, noon, {}, false},
                     {"b\xff", false, 0, 0, {}, noon, noon + std::chrono::milliseconds{1}, true}};
  EXPECT_EQ(json::containers(list, {"a"}), R"({
  "container_parent": "/zlayer/containers",
  "placement": "host",
  "exists": true,
  "offered": [
    "cpu",
    "io"
  ],
  "delegated": [
    "cpu"
  ],
  "containers": [
    {
      "id": "a",
      "populated": true,
      "processes": 2,
      "nested": 1,
      "controllers": [
        "cpu",
        "pids"
      ],
      "created_at": "1970-01-01T12:00:00.000Z",
      "empty_since": null,
      "orphaned": false,
      "removing": true
    },
    {
      "id": "b)"
                                           "\xef\xbf\xbd"
                                           R"(",
      "populated": false,
      "processes": 0,
      "nested": 0,
      "controllers": [],
      "created_at": "1970-01-01T12:00:00.000Z",
      "empty_since": "1970-01-01T12:00:00.001Z",
      "orphaned": true,
      "removing": false
    }
  ]
}
)");
}

TEST(ContainersDocument, IsAnEmptyListWithoutAParent) {
  EXPECT_EQ(json::containers({"/zlayer/containers", Placement::host, false, {}, {}, {}}, {}), R"({
  "container_parent": "/zlayer/containers",
  "placement": "host",
  "exists": false,
  "offered": [],
  "delegated": [],
  "containers": []
}
)");
}

TEST(ProblemDocument, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(json::problem({.type = "urn:x", .title = "Not Found", .status = 404}), R"({
  "type": "urn:x",
  "title": "Not Found",
  "status": 404
}
)");
}

TEST(ProblemDocument, TellsWhatTheKernelRefusedAndWhoIsInTheWay) {
  EXPECT_EQ(json::problem({.type = "urn:x",
                           .title = "Conflict",
                           .status = 409,
                           .detail = "d",
                           .op = "rmdir",
                           .path = "/a\xff",
                           .error_number = "EBUSY",
                           .processes = {{7, "sh"}},
                           .children = {"c1", "c2"}}),
            R"({
  "type": "urn:x",
  "title": "Conflict",
  "status": 409,
  "detail": "d",
  "op": "rmdir",
  "path": "/a)"
            "\xef\xbf\xbd"
            R"(",
  "errno": "EBUSY",
  "processes": [
    {
      "pid": 7,
      "command": "sh"
    }
  ],
  "children": [
    "c1",
    "c2"
  ]
}
)");
}

TEST(HealthDocument, IsOneMember) {
  EXPECT_EQ(json::health("ok"), "{\n  \"status\": \"ok\"\n}\n");
}

TEST(StringLiteral, IsQuotedAndEscaped) {
  EXPECT_EQ(json::string_literal(""), R"("")");
  EXPECT_EQ(json::string_literal("a\"b\\\n"), R"("a\"b\\\n")");
  EXPECT_EQ(json::string_literal("\xff"), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace surveyd::test
