// Every limit, deadline and rule that ends a request is counted by its reason.

#include <gtest/gtest.h>

#include "http/rejection.hpp"
#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

using namespace std::chrono_literals;

const std::string host = "Host: localhost:9847\r\n";
const std::string healthz = "GET /healthz HTTP/1.1\r\n" + host + "\r\n";
const std::string post = "POST /survey HTTP/1.1\r\n" + host;

int count(Conversation& talk, const std::string& reason) {
  const std::string text = talk.service.counters.text(0, 0);
  const std::string series = "surveyd_http_rejected_total{reason=\"" + reason + "\"} ";
  const auto at = text.find(series);
  return at == std::string::npos ? 0 : std::stoi(text.substr(at + series.size()));
}

struct Case {
  const char* reason;
  std::string bytes;
  const char* status;
};

class Rejected : public testing::TestWithParam<Case> {};

TEST_P(Rejected, IsCountedOnceByItsReason) {
  http::Limits limits;
  limits.head_bytes = 300;
  limits.body_bytes = 64;
  limits.request_bytes = 1000;
  Conversation talk{limits};
  const std::string answer = talk.say(GetParam().bytes);
  EXPECT_EQ(statuses(answer), GetParam().status);
  EXPECT_EQ(count(talk, GetParam().reason), 1);
}

std::string chunks_of_extensions() {
  std::string text = post + "Transfer-Encoding: chunked\r\n\r\n";
  while (text.size() < 1100) text += "1;" + std::string(60, 'x') + "\r\n \r\n";
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, Rejected,
    testing::Values(Case{"head_too_large",
                         "GET / HTTP/1.1\r\nX: " + std::string(400, 'x') + "\r\n\r\n", "431"},
                    Case{"target_too_long", "GET /" + std::string(400, 'x'), "414"},
                    Case{"body_too_large", post + "Content-Length: 65\r\n\r\n", "413"},
                    Case{"request_too_large", chunks_of_extensions(), "400"},
                    Case{"malformed", "GET / HTTP/1.1\n\n", "400"},
                    Case{"malformed", "GET * HTTP/1.1\r\n" + host + "\r\n", "400"},
                    Case{"version", "GET / HTTP/2.0\r\n" + host + "\r\n", "505"},
                    Case{"method", "BREW / HTTP/1.1\r\n" + host + "\r\n", "501"},
                    Case{"expectation", "GET / HTTP/1.1\r\n" + host + "Expect: tea\r\n\r\n", "417"},
                    Case{"wrong_host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"},
                    Case{"browser", post + "Origin: null\r\n\r\n", "403"},
                    Case{"proxy", post + "Via: 1.1 x\r\n\r\n", "403"},
                    Case{"media_type", post + "Content-Type: text/plain\r\n\r\n", "415"}));

TEST(Rejections, AreNotCountedForWhatIsAnswered) {
  Conversation talk;
  talk.say(healthz + "GET /no-such HTTP/1.1\r\n" + host + "\r\n");
  for (const std::string_view reason : http::rejections)
    EXPECT_EQ(count(talk, std::string{reason}), 0) << reason;
}

TEST(Rejections, CountChangesOverARemoteListener) {
  Conversation talk{{}, {.transport = http::Transport::remote, .name = "remote", .hosts = {}}};
  EXPECT_EQ(statuses(talk.say(post + "\r\n")), "403");
  EXPECT_EQ(count(talk, "forbidden"), 1);
}

TEST(Rejections, CountSlowHeads) {
  Conversation talk;
  talk.send("GET");
  talk.pass(11s);
  EXPECT_EQ(count(talk, "head_timeout"), 1);
}

TEST(Rejections, CountSlowBodies) {
  Conversation talk;
  talk.send(post + "Content-Length: 2\r\n\r\n");
  talk.pass(6s);
  EXPECT_EQ(count(talk, "body_timeout"), 1);
}

TEST(Rejections, CountIdleConnectionsOnce) {
  Conversation talk;
  talk.pass(61s);
  talk.pass(62s);
  EXPECT_EQ(count(talk, "idle_timeout"), 1);
}

TEST(Rejections, CountAnswersThatNobodyTakes) {
  Conversation talk;
  talk.service.capabilities =
      http::make_document("application/json", std::string(8 * 1024 * 1024, 'x'));
  talk.send("GET /capabilities HTTP/1.1\r\n" + host + "\r\n");
  talk.pass(0s);
  talk.pass(16s);
  EXPECT_EQ(count(talk, "write_timeout"), 1);
}

// The caller is judged first: here nobody knows who it is.
TEST(Rejections, CountBodiesThatAreTooDeep) {
  http::Limits limits;
  limits.json_levels = 2;
  http::Peer root;
  root.unix_owner = UnixPeer{.pid = 1, .uid = 0, .gid = 0, .groups = {}};
  Conversation talk{
      limits, {.transport = http::Transport::unix_socket, .name = "unix", .hosts = {}}, root};
  const auto ask = [&talk](const std::string& body) {
    return statuses(
        talk.say_and_wait("POST /cgroups/ensure HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body));
  };
  EXPECT_EQ(ask("{\"x\": []}"), "400");
  EXPECT_EQ(count(talk, "json_depth"), 0);
  EXPECT_EQ(ask("{\"x\": [[]]}"), "400");
  EXPECT_EQ(count(talk, "json_depth"), 1);
}

TEST(Rejections, CountConnectionsThatHaveAskedEnough) {
  http::Limits limits;
  limits.requests_per_connection = 2;
  Conversation talk{limits};
  EXPECT_EQ(statuses(talk.say(healthz + healthz + healthz)), "200 200");
  EXPECT_EQ(count(talk, "request_count"), 1);
}

}  // namespace
}  // namespace surveyd::test
