// One connection: framing, order, keep-alive, limits.

#include <gtest/gtest.h>

#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

constexpr const char* host = "Host: localhost:9847\r\n";

std::string get(const std::string& target, const std::string& headers = {}) {
  return "GET " + target + " HTTP/1.1\r\n" + host + headers + "\r\n";
}

bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

TEST(Answer, HasTheseBytes) {
  Conversation talk;
  EXPECT_EQ(without_date(talk.say(get("/healthz"))),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: 21\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Cache-Control: no-store\r\n"
            "\r\n"
            "{\n  \"status\": \"ok\"\n}\n");
  EXPECT_FALSE(talk.closed());
}

TEST(Answer, HasADate) {
  Conversation talk;
  const std::string answer = talk.say(get("/healthz"));
  const auto at = answer.find("Date: ");
  ASSERT_NE(at, std::string::npos);
  const std::string date = answer.substr(at + 6, answer.find("\r\n", at) - at - 6);
  EXPECT_EQ(date.size(), std::string_view{"Sun, 06 Nov 1994 08:49:37 GMT"}.size());
  EXPECT_TRUE(date.ends_with(" GMT")) << date;
}

TEST(Answer, HasTheseBytesForAProblem) {
  Conversation talk;
  EXPECT_EQ(without_date(talk.say(get("/x"))),
            "HTTP/1.1 404 Not Found\r\n"
            "Content-Type: application/problem+json\r\n"
            "Content-Length: 163\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Cache-Control: no-store\r\n"
            "\r\n"
            "{\n"
            "  \"type\": \"urn:surveyd:problem:no-such-route\",\n"
            "  \"title\": \"Not Found\",\n"
            "  \"status\": 404,\n"
            "  \"detail\": \"there is nothing at this path; GET / shows what there is\"\n"
            "}\n");
}

TEST(Answer, HasTheseBytesForADocument) {
  Conversation talk;
  talk.service.capabilities = http::make_document("application/json", "{}\n");
  EXPECT_EQ(without_date(talk.say(get("/capabilities"))),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: 3\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Cache-Control: no-cache\r\n"
            "ETag: " +
                talk.service.capabilities->etag + "\r\n\r\n{}\n");
}

TEST(Answer, IsHeadOnlyForHead) {
  Conversation talk;
  talk.service.capabilities = http::make_document("application/json", "{}\n");
  talk.service.load_page();
  for (const char* target : {"/healthz", "/capabilities", "/", "/readyz", "/x"}) {
    const std::string rest = std::string{target} + " HTTP/1.1\r\n" + host + "\r\n";
    const std::string whole = without_date(talk.say("GET " + rest));
    const std::string head = without_date(talk.say("HEAD " + rest));
    EXPECT_TRUE(head.ends_with("\r\n\r\n")) << target;
    EXPECT_EQ(head, whole.substr(0, whole.find("\r\n\r\n") + 4)) << target;
  }
}

TEST(Answer, Is304ForADocumentThatTheClientHas) {
  Conversation talk;
  talk.service.capabilities = http::make_document("application/json", "{}\n");
  const std::string tag = talk.service.capabilities->etag;
  EXPECT_EQ(without_date(talk.say(get("/capabilities", "If-None-Match: " + tag + "\r\n"))),
            "HTTP/1.1 304 Not Modified\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Cache-Control: no-cache\r\n"
            "ETag: " +
                tag + "\r\n\r\n");
  EXPECT_EQ(statuses(talk.say(get("/capabilities", "If-None-Match: \"x\"\r\n"))), "200");
}

TEST(Answer, Is503BeforeTheFirstSurvey) {
  Conversation talk;
  for (const char* target : {"/capabilities", "/api/v1/daemon/capabilities", "/readyz"}) {
    const std::string answer = talk.say(get(target));
    EXPECT_EQ(statuses(answer), "503") << target;
    EXPECT_TRUE(has(answer, "\r\nRetry-After: 1\r\n")) << target;
  }
}

TEST(Delivery, MakesNoDifference) {
  for (const std::string& request :
       {get("/healthz"), get("/x"), get("/capabilities?x=1"),
        "HEAD /healthz HTTP/1.1\r\n" + std::string{host} + "\r\n",
        "DELETE /healthz HTTP/1.1\r\n" + std::string{host} + "\r\n", get("/healthz") + get("/x"),
        get("/healthz", "X: " + std::string(3000, 'x') + "\r\n"),
        "GET /healthz HTTP/1.0\r\n" + std::string{host} + "\r\n"}) {
    Conversation whole;
    Conversation slow;
    const std::string expected = whole.say(request);
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(without_date(slow.say_byte_by_byte(request)), without_date(expected)) << request;
    EXPECT_EQ(slow.closed(), whole.closed());
  }
}

TEST(Delivery, SkipsOneEmptyLineBeforeARequest) {
  for (const auto& [before, expected] : std::vector<std::pair<std::string, std::string>>{
           {"\r\n", "200"}, {"\r\n\r\n", "400"}, {"\r", "400"}}) {
    for (std::size_t cut = 0; cut <= before.size(); ++cut) {
      Conversation talk;
      const std::string first = talk.say(before.substr(0, cut));
      EXPECT_EQ(statuses(first + talk.say(before.substr(cut) + get("/healthz"))), expected) << cut;
    }
  }
}

TEST(Delivery, MayEndAnywhere) {
  const std::string request = get("/healthz");
  for (std::size_t size = 0; size < request.size(); ++size) {
    Conversation talk;
    EXPECT_EQ(talk.say(request.substr(0, size)), "") << size;
    talk.finish_sending();
    EXPECT_EQ(talk.hear(), "") << size;
    EXPECT_TRUE(talk.closed()) << size;
  }
}

TEST(Delivery, OfTheLastRequestMayBeFollowedByTheEnd) {
  Conversation talk;
  talk.send(get("/healthz"));
  talk.finish_sending();
  EXPECT_EQ(statuses(talk.hear()), "200");
  talk.wait_until_closed();
  EXPECT_TRUE(talk.closed());
}

TEST(Pipelining, AnswersInOrder) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say(get("/healthz") + get("/x") + get("/readyz") + get("/healthz"))),
            "200 404 503 200");
  EXPECT_FALSE(talk.closed());
}

TEST(Pipelining, TakesManyAtOnce) {
  std::string many;
  for (int i = 0; i < 500; ++i) many += get("/healthz") + get("/x");
  Conversation talk;
  const std::string all = statuses(talk.say(many));
  EXPECT_EQ(all.size(), 1000 * 4 - 1U);
  for (std::size_t at = 0; at < all.size(); at += 8) ASSERT_EQ(all.substr(at, 7), "200 404") << at;
}

TEST(Pipelining, EndsWithTheRequestThatCloses) {
  Conversation talk;
  const std::string answer =
      talk.say(get("/healthz") + get("/x", "Connection: close\r\n") + get("/healthz"));
  EXPECT_EQ(statuses(answer), "200 404");
  EXPECT_TRUE(talk.finished());
}

struct KeepRow {
  const char* version;
  const char* header;
  const char* answered;  ///< the Connection header of the answer, empty for none
  bool kept;
};

constexpr KeepRow keep_rows[] = {{"HTTP/1.1", "", "", true},
                                 {"HTTP/1.1", "Connection: keep-alive\r\n", "", true},
                                 {"HTTP/1.1", "Connection: close\r\n", "close", false},
                                 {"HTTP/1.1", "connection: Close\r\n", "close", false},
                                 {"HTTP/1.1", "Connection: x, close\r\n", "close", false},
                                 {"HTTP/1.0", "", "close", false},
                                 {"HTTP/1.0", "Connection: close\r\n", "close", false},
                                 {"HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive", true},
                                 {"HTTP/1.0", "Connection: Keep-Alive\r\n", "keep-alive", true}};

TEST(KeepAlive, FollowsTheVersionAndTheHeader) {
  for (const auto& [version, header, answered, kept] : keep_rows) {
    SCOPED_TRACE(std::string{version} + " " + header);
    Conversation talk;
    const std::string answer =
        talk.say("GET /healthz " + std::string{version} + "\r\n" + host + header + "\r\n");
    EXPECT_EQ(statuses(answer), "200");
    EXPECT_EQ(talk.finished(), !kept);
    const std::string line = "\r\nConnection: " + std::string{answered};
    EXPECT_EQ(has(answer, "\r\nConnection: "), *answered != '\0');
    EXPECT_TRUE(*answered == '\0' || has(answer, line + "\r\n"));
  }
}

TEST(KeepAlive, EndsAfterTheLastRequestThatIsAllowed) {
  http::Limits limits;
  limits.requests_per_connection = 3;
  Conversation talk{limits};
  EXPECT_FALSE(has(talk.say(get("/healthz")), "Connection: close"));
  const std::string rest = talk.say(get("/healthz") + get("/healthz") + get("/healthz"));
  EXPECT_EQ(statuses(rest), "200 200");
  EXPECT_TRUE(has(rest, "\r\nConnection: close\r\n"));
  EXPECT_TRUE(talk.finished());
}

TEST(KeepAlive, OutlivesARefusalOfAWholeRequest) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say(get("/x"))), "404");
  EXPECT_EQ(statuses(talk.say("POST /healthz HTTP/1.1\r\n" + std::string{host} + "\r\n")), "405");
  EXPECT_EQ(statuses(talk.say(get("/healthz"))), "200");
}

TEST(KeepAlive, EndsWithARequestThatIsNotMeantForUs) {
  Conversation host_talk;
  EXPECT_EQ(statuses(host_talk.say("GET /healthz HTTP/1.1\r\nHost: evil\r\n\r\n")), "421");
  EXPECT_TRUE(host_talk.finished());
  Conversation method_talk;
  EXPECT_EQ(statuses(method_talk.say("BREW / HTTP/1.1\r\n" + std::string{host} + "\r\n")), "501");
  EXPECT_TRUE(method_talk.finished());
}

struct RefusalRow {
  const char* why;
  std::string request;
  const char* status;
};

const RefusalRow refusal_rows[] = {
    {"no method", " / HTTP/1.1\r\nHost: localhost:9847\r\n\r\n", "400"},
    {"not HTTP", "hello\r\n\r\n", "400"},
    {"TLS", std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15}, "400"},
    {"no Host", "GET /healthz HTTP/1.1\r\n\r\n", "400"},
    {"two Hosts", get("/healthz", host), "400"},
    {"folded header", get("/healthz", "X: a\r\n b\r\n"), "400"},
    {"blank before the colon", get("/healthz", "X : a\r\n"), "400"},
    {"no colon", get("/healthz", "X\r\n"), "400"},
    {"NUL in a value", get("/healthz", std::string{"X: a\0b\r\n", 8}), "400"},
    {"NUL in the target", get(std::string{"/\0x", 3}), "400"},
    {"negative length", get("/healthz", "Content-Length: -1\r\n"), "400"},
    {"length that is no number", get("/healthz", "Content-Length: 1x\r\n"), "400"},
    {"two lengths", get("/healthz", "Content-Length: 1\r\nContent-Length: 2\r\n"), "400"},
    {"length and chunks", get("/healthz", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
     "400"},
    {"asterisk", get("*"), "400"},
    {"asterisk of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: localhost:9847\r\n\r\n", "405"},
    {"authority", "CONNECT localhost:9847 HTTP/1.1\r\nHost: localhost:9847\r\n\r\n", "405"},
    {"no slash", get("healthz"), "400"},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: localhost:9847\r\n\r\n", "505"},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: localhost:9847\r\n\r\n", "505"},
    {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: localhost:9847\r\n\r\n", "505"},
    {"length", get("/", "Content-Length: 99999\r\n"), "413"},
    {"somebody else's asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "421"},
    {"somebody else's CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "421"},
    {"somebody else's scheme", "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "421"},
    {"somebody else's version", "GET / RTSP/1.0\r\nX: y\r\nhost: a\r\n\r\n", "421"},
    {"somebody else's length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n",
     "421"}};

TEST(Refusal, MeetsWhatIsNoRequest) {
  for (const auto& [why, request, status] : refusal_rows) {
    Conversation talk;
    EXPECT_EQ(statuses(talk.say(request)), status) << why;
  }
}

// Beast takes both; somebody before us may see an end of a line.
TEST(Refusal, MeetsControlsInChunkExtensionsAndFoldedTrailers) {
  const std::string chunked = get("/healthz", "Transfer-Encoding: chunked\r\n");
  const auto answer_to = [&chunked](const std::string& body) {
    return statuses(Conversation{}.say(chunked + body));
  };
  EXPECT_EQ(answer_to("1;a=\"b\tc\"\r\nx\r\n0;last\r\nX: y\r\n\r\n"), "200");
  for (const char c : {'\n', '\x01', '\x7f'}) {
    EXPECT_EQ(answer_to(std::string{"1;a=\"b"} + c + "c\"\r\nx\r\n0\r\n\r\n"), "400") << int{c};
    EXPECT_EQ(answer_to(std::string{"0;a=\""} + c + "\"\r\n\r\n"), "400") << int{c};
  }
  EXPECT_EQ(answer_to("0\r\nX: y\r\n z\r\n\r\n"), "400");
}

TEST(Refusal, OfAHeadThatIsTooLongIsAboutTheTargetOrTheRest) {
  EXPECT_EQ(statuses(Conversation{}.say("GET /" + std::string(9000, 'x'))), "414");
  EXPECT_EQ(statuses(Conversation{}.say(get("/", "X: " + std::string(9000, 'x') + "\r\n"))), "431");
  std::string many;
  for (int i = 0; i < 64; ++i) many += "X: y\r\n";
  EXPECT_EQ(statuses(Conversation{}.say(get("/healthz", many))), "431");
}

TEST(Refusal, OfALongTargetIs414WithTheEndOfItsHeadToo) {
  EXPECT_EQ(statuses(Conversation{}.say(get("/" + std::string(9000, 'x')))), "414");
  http::Limits limits;
  limits.head_bytes = 100;
  EXPECT_EQ(statuses(Conversation{limits}.say(get("/" + std::string(100, 'x')))), "414");
}

TEST(Refusal, OfALongHeadDoesNotWaitForItsEnd) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say("GET /healthz HTTP/1.1\r\nX: " + std::string(9000, 'x'))), "431");
  EXPECT_TRUE(talk.finished());
}

// A full buffer would be read into for ever.
TEST(Refusal, OfAHeadThatFillsTheBufferWithoutAnEnd) {
  http::Limits limits;
  limits.head_bytes = http::most_input;
  const std::string begin = "GET / HTTP/1.1\r\n" + std::string{host} + "X: ";
  const std::string rest(http::most_input - begin.size(), 'x');
  Conversation talk{limits};
  EXPECT_EQ(statuses(talk.say(begin + rest)), "431");
  EXPECT_TRUE(talk.finished());
  EXPECT_EQ(statuses(Conversation{limits}.say(begin + rest.substr(4) + "\r\n\r\n")), "200");
}

TEST(Refusal, ClosesAndTakesNoMore) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say("hello\r\n\r\n" + get("/healthz"))), "400");
  EXPECT_TRUE(talk.finished());
  EXPECT_EQ(talk.say(get("/healthz")), "");
}

TEST(TinyLimits, CutEachPart) {
  http::Limits limits;
  limits.head_bytes = 100;
  limits.body_bytes = 10;
  const std::string post = "POST /survey HTTP/1.1\r\n" + std::string{host};
  EXPECT_EQ(statuses(Conversation{limits}.say(get("/healthz"))), "200");
  EXPECT_EQ(statuses(Conversation{limits}.say(get("/healthz", "X: " + std::string(100, 'x')))),
            "431");
  EXPECT_EQ(statuses(Conversation{limits}.say(post + "Content-Length: 11\r\n\r\n")), "413");
  EXPECT_EQ(statuses(Conversation{limits}.say(
                post + "Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n")),
            "413");
}

TEST(TinyLimits, CountWhatDoesNotEndUpInTheBody) {
  http::Limits limits;
  limits.request_bytes = 300;
  Conversation talk{limits};
  talk.send("POST /survey HTTP/1.1\r\n" + std::string{host} + "Transfer-Encoding: chunked\r\n\r\n");
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) answer = talk.say("1;x=yyyyyyyy\r\n \r\n");
  EXPECT_EQ(statuses(answer), "400");
  EXPECT_TRUE(has(answer, "\r\nConnection: close\r\n"));
}

TEST(TinyLimits, DoNotCountTheNextRequests) {
  http::Limits limits;
  limits.request_bytes = 300;
  std::string requests =
      "GET /healthz HTTP/1.1\r\n" + std::string{host} + "Content-Length: 2\r\n\r\n{}";
  std::string expected = "200";
  for (int i = 0; i < 40; ++i) {
    requests += get("/healthz");
    expected += " 200";
  }
  EXPECT_EQ(statuses(Conversation{limits}.say(requests)), expected);
}

}  // namespace
}  // namespace surveyd::test
