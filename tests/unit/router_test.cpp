#include "http/router.hpp"

#include <gtest/gtest.h>

#include "http/strictness.hpp"
#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

/// What the router makes of a head. Keeps the text that the answer points into.
struct Asked {
  std::string text;
  http::Request request;
  http::Routed routed;

  Asked(std::string head, const http::Listener& listener) : text(std::move(head)) {
    if (http::violation_in_head(text)) {  // as the connection asks first
      routed.refusal.emplace().status = 400;
      return;
    }
    const http::Limits limits;
    http::RequestParser parser{request, limits};
    boost::system::error_code error;
    parser.parse(text, error);
    EXPECT_TRUE(!error && parser.is_header_done()) << text;
    routed = http::route(request, listener, "/run/x.sock");
  }

  /// 200 when there is something to handle.
  [[nodiscard]] unsigned status() const { return routed.refusal ? routed.refusal->status : 200; }
};

Asked ask(const std::string& method, const std::string& target, const std::string& headers = {},
          const http::Listener& listener = loopback_listener()) {
  return {method + " " + target + " HTTP/1.1\r\nHost: localhost:9847\r\n" + headers + "\r\n",
          listener};
}

struct RouteRow {
  const char* method;
  const char* target;
  unsigned status;
  const char* route;
};

constexpr RouteRow route_rows[] = {
    {"GET", "/", 200, "/"},
    {"GET", "/style.css", 200, "/style.css"},
    {"GET", "/app.js", 200, "/app.js"},
    {"GET", "/icon.svg", 200, "/icon.svg"},
    {"GET", "/openapi.json", 200, "/openapi.json"},
    {"GET", "/capabilities", 200, "/capabilities"},
    {"HEAD", "/capabilities", 200, "/capabilities"},
    {"GET", "/api/v1/daemon/capabilities", 200, "/api/v1/daemon/capabilities"},
    {"GET", "/metrics", 200, "/metrics"},
    {"GET", "/healthz", 200, "/healthz"},
    {"GET", "/readyz", 200, "/readyz"},
    {"GET", "/cgroups", 200, "/cgroups"},
    {"POST", "/survey", 200, "/survey"},
    {"POST", "/cgroups/ensure", 200, "/cgroups/ensure"},
    {"DELETE", "/cgroups/containers/a", 200, "/cgroups/containers/{id}"},
    {"DELETE", "/cgroups/containers/", 200, "/cgroups/containers/{id}"},
    {"DELETE", "/cgroups/containers/a/b", 200, "/cgroups/containers/{id}"},
    {"GET", "/capabilities?", 200, "/capabilities"},
    {"GET", "http://localhost:9847/capabilities", 200, "/capabilities"},
    {"GET", "http://127.0.0.1:9847", 200, "/"},
    {"GET", "/capabilities/", 404, "unmatched"},
    {"GET", "//capabilities", 404, "unmatched"},
    {"GET", "/Capabilities", 404, "unmatched"},
    {"GET", "/capabilitiesx", 404, "unmatched"},
    {"GET", "/capabilities%2f", 404, "unmatched"},
    {"GET", "/capabilities;x", 404, "unmatched"},
    {"GET", "/cgroups/containers", 404, "unmatched"},
    {"GET", "/index.html", 404, "unmatched"},
    {"GET", "/../capabilities", 404, "unmatched"},
    {"GET", "/capabilities?x=1", 400, "/capabilities"},
    {"GET", "/capabilities?x", 400, "/capabilities"},
    {"POST", "/survey?x=1", 400, "/survey"},
    {"POST", "/capabilities", 405, "/capabilities"},
    {"DELETE", "/survey", 405, "/survey"},
    {"GET", "/survey", 405, "/survey"},
    {"HEAD", "/survey", 405, "/survey"},
    {"GET", "/cgroups/ensure", 405, "/cgroups/ensure"},
    {"GET", "/cgroups/containers/a", 405, "/cgroups/containers/{id}"},
    {"PUT", "/cgroups/containers/a", 405, "/cgroups/containers/{id}"},
    {"OPTIONS", "/capabilities", 405, "/capabilities"},
    {"TRACE", "/", 405, "/"},
    {"DELETE", "/cgroups/containers/a%2e", 400, "unmatched"},
    {"POST", "/cgroups%2fensure", 400, "unmatched"},
    {"BREW", "/capabilities", 501, "unmatched"},
    {"get", "/capabilities", 501, "unmatched"},
    {"GET", "*", 400, "unmatched"},
    {"GET", "capabilities", 400, "unmatched"},
    {"GET", "http:///capabilities", 400, "unmatched"},
    {"GET", "https://localhost:9847/", 400, "unmatched"},
    {"GET", "http://evil:9847/capabilities", 421, "unmatched"},
    {"GET", "http://localhost:9847@evil/", 421, "unmatched"}};

TEST(Router, FollowsTheTable) {
  for (const auto& [method, target, status, route] : route_rows) {
    const Asked asked = ask(method, target);
    EXPECT_EQ(asked.status(), status) << method << " " << target;
    EXPECT_EQ(asked.routed.route, route) << method << " " << target;
    EXPECT_EQ(asked.routed.endpoint != nullptr && !asked.routed.refusal, status == 200);
  }
}

TEST(Router, GivesWhatStandsForTheId) {
  for (const char* id : {"a", "", "a/b", "..", "a.b-c"})
    EXPECT_EQ(ask("DELETE", "/cgroups/containers/" + std::string{id}).routed.parameter, id);
}

TEST(Router, SaysWhatAPathTakes) {
  struct Row {
    const char* method;
    const char* target;
    const char* allow;
  };
  for (const auto& [method, target, allow] :
       {Row{"POST", "/capabilities", "Allow: GET, HEAD\r\n"},
        Row{"GET", "/survey", "Allow: POST\r\n"},
        Row{"GET", "/cgroups/containers/a", "Allow: DELETE\r\n"}}) {
    const Asked asked = ask(method, target);
    ASSERT_TRUE(asked.routed.refusal);
    EXPECT_EQ(asked.routed.refusal->headers, allow);
  }
}

TEST(Router, NamesAParameterThatItDoesNotKnow) {
  const Asked asked = ask("GET", "/capabilities?uid=1&x");
  ASSERT_TRUE(asked.routed.refusal);
  EXPECT_NE(asked.routed.refusal->body.find("uid"), std::string::npos);
}

struct HostRow {
  const char* headers;
  const char* version;
  unsigned status;
};

constexpr HostRow host_rows[] = {{"Host: localhost:9847\r\n", "1.1", 200},
                                 {"Host: LOCALHOST:9847\r\n", "1.1", 200},
                                 {"host: 127.0.0.1:9847\r\n", "1.1", 200},
                                 {"Host: [::1]:9847\r\n", "1.1", 200},
                                 {"Host: localhost:9847\r\n", "1.0", 200},
                                 {"", "1.1", 400},
                                 {"", "1.0", 421},
                                 {"Host: localhost:9847\r\nHost: localhost:9847\r\n", "1.1", 400},
                                 {"Host: localhost:9847\r\nhost: evil\r\n", "1.0", 400},
                                 {"Host:\r\n", "1.1", 421},
                                 {"Host: localhost\r\n", "1.1", 421},
                                 {"Host: localhost:984\r\n", "1.1", 421},
                                 {"Host: localhost:98471\r\n", "1.1", 421},
                                 {"Host: localhost.:9847\r\n", "1.1", 421},
                                 {"Host: localhost:9847.evil\r\n", "1.1", 421},
                                 {"Host: evil.localhost:9847\r\n", "1.1", 421},
                                 {"Host: localhost:9847, evil\r\n", "1.1", 421},
                                 {"Host: user@localhost:9847\r\n", "1.1", 421},
                                 {"Host: 127.0.0.2:9847\r\n", "1.1", 421},
                                 {"Host: 127.1:9847\r\n", "1.1", 421},
                                 {"Host: ::1:9847\r\n", "1.1", 421},
                                 {"Host: [0:0:0:0:0:0:0:1]:9847\r\n", "1.1", 421},
                                 {"Host: evil:9847\r\n", "1.1", 421}};

TEST(Host, IsOneOfTheListeners) {
  for (const auto& [headers, version, status] : host_rows) {
    const Asked asked{"GET /capabilities HTTP/" + std::string{version} + "\r\n" + headers + "\r\n",
                      loopback_listener()};
    EXPECT_EQ(asked.status(), status) << version << " " << headers;
  }
}

TEST(Host, IsAnyOnARemoteListenerAndOnAUnixSocket) {
  for (const auto transport : {http::Transport::remote, http::Transport::unix_socket}) {
    const http::Listener listener{transport, "x", {}};
    EXPECT_EQ(Asked("GET / HTTP/1.1\r\nHost: anything\r\n\r\n", listener).status(), 200U);
    EXPECT_EQ(Asked("GET / HTTP/1.0\r\n\r\n", listener).status(), 200U);
    EXPECT_EQ(Asked("GET / HTTP/1.1\r\n\r\n", listener).status(), 400U);
    EXPECT_EQ(Asked("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", listener).status(), 400U);
  }
}

TEST(RemoteListener, ServesReadsOnly) {
  const http::Listener remote{http::Transport::remote, "http://192.0.2.1:1", {}};
  EXPECT_EQ(ask("GET", "/capabilities", "", remote).status(), 200U);
  EXPECT_EQ(ask("HEAD", "/capabilities", "", remote).status(), 200U);
  for (const auto& [method, target] :
       {std::pair{"POST", "/survey"}, std::pair{"POST", "/cgroups/ensure"},
        std::pair{"DELETE", "/cgroups/containers/a"}}) {
    const Asked asked = ask(method, target, "", remote);
    EXPECT_EQ(asked.status(), 403U) << target;
    EXPECT_NE(asked.routed.refusal->body.find("/run/x.sock"), std::string::npos);
  }
}

struct BorrowedRow {
  const char* header;
  unsigned status;
};

constexpr BorrowedRow borrowed_rows[] = {
    {"User-Agent: curl/8\r\nAccept: */*\r\n", 200},
    {"Content-Type: application/json\r\n", 200},
    {"Content-Type: Application/JSON; charset=utf-8\r\n", 200},
    {"Content-Type: application/json ;x\r\n", 200},
    {"Content-Type: application/x-www-form-urlencoded\r\n", 415},
    {"Content-Type: text/plain\r\n", 415},
    {"Content-Type: application/jsonx\r\n", 415},
    {"Content-Type: text/plain; application/json\r\n", 415},
    {"Content-Type:\r\n", 415},
    {"Origin: http://localhost:9847\r\n", 403},
    {"origin: null\r\n", 403},
    {"Origin:\r\n", 403},
    {"Referer: http://localhost:9847/\r\n", 403},
    {"Cookie: a=b\r\n", 403},
    {"Sec-Fetch-Site: same-origin\r\n", 403},
    {"SEC-FETCH-X: y\r\n", 403},
    {"Access-Control-Request-Method: POST\r\n", 403},
    {"Access-Control-Request-Private-Network: true\r\n", 403},
    {"Forwarded: for=127.0.0.1\r\n", 403},
    {"X-Forwarded-For: 127.0.0.1\r\n", 403},
    {"x-forwarded-anything: y\r\n", 403},
    {"X-Real-IP: 127.0.0.1\r\n", 403},
    {"Via: 1.1 proxy\r\n", 403},
    {"X-Forwarded: y\r\n", 200},
    {"X-Via: y\r\n", 200}};

TEST(Mutations, CarryNoMarkOfABrowserOrAProxy) {
  for (const auto& [header, status] : borrowed_rows)
    for (const auto& [method, target] :
         {std::pair{"POST", "/survey"}, std::pair{"POST", "/cgroups/ensure"},
          std::pair{"DELETE", "/cgroups/containers/a"}})
      EXPECT_EQ(ask(method, target, header).status(), status) << target << " " << header;
}

TEST(Reads, MayComeFromABrowser) {
  for (const auto& row : borrowed_rows)
    EXPECT_EQ(ask("GET", "/capabilities", row.header).status(), 200U) << row.header;
}

TEST(AnotherProcess, IsAskedAboutByTheSamePathsWithAQuery) {
  for (const char* target : {"/capabilities", "/findings", "/findings/kvm"}) {
    const Asked plain = ask("GET", target);
    const Asked about = ask("GET", std::string{target} + "?pid=7");
    ASSERT_TRUE(plain.routed.endpoint && about.routed.endpoint) << target;
    EXPECT_FALSE(plain.routed.endpoint->restricted) << target;
    EXPECT_TRUE(about.routed.endpoint->restricted) << target;
    EXPECT_EQ(about.routed.query, "pid=7");
    EXPECT_EQ(about.routed.route, plain.routed.route);
  }
  EXPECT_EQ(ask("GET", "/capabilities?uid=7").status(), 400U);
  EXPECT_EQ(ask("GET", "/capabilities?pid=7&pid=8").status(), 400U);
  EXPECT_EQ(ask("GET", "/metrics?pid=7").status(), 400U);
  EXPECT_EQ(ask("POST", "/capabilities?pid=7").status(), 405U);
}

TEST(AnotherProcess, IsNoMatterOfBrowsersProxiesAndRemoteListeners) {
  const http::Listener remote{http::Transport::remote, "http://192.0.2.1:1", {}};
  for (const char* target : {"/capabilities?pid=7", "/findings?pid=7", "/findings/kvm?pid=7"}) {
    EXPECT_EQ(ask("GET", target, "", remote).status(), 403U) << target;
    for (const auto& [header, status] : borrowed_rows)
      EXPECT_EQ(ask("GET", target, header).status(), status) << target << " " << header;
  }
}

}  // namespace
}  // namespace surveyd::test
