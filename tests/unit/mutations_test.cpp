// Requests that change something, over a Unix socket whose owner the test makes up.

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

http::Listener unix_listener() {
  return {http::Transport::unix_socket, "unix:/run/x.sock", {}};
}

http::Peer peer(int pid, unsigned uid) {
  http::Peer peer;
  peer.unix_owner = UnixPeer{pid, uid};
  return peer;
}

Conversation as_owner(http::Limits limits = {}) {
  return Conversation{limits, unix_listener(), peer(1, ::geteuid())};
}

std::string post(const std::string& target, const std::string& body,
                 const std::string& headers = {}) {
  return "POST " + target + " HTTP/1.1\r\nHost: x\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

TEST(PostSurvey, AnswersWithTheNewSurvey) {
  auto talk = as_owner();
  EXPECT_EQ(statuses(talk.say_and_wait(post("/survey", ""))), "200");
  EXPECT_TRUE(talk.service.capabilities);
  EXPECT_EQ(statuses(talk.say_and_wait(post("/survey", "{}"))), "200");
}

TEST(PostSurvey, TakesABodyByChunksAndByBytes) {
  auto talk = as_owner();
  const std::string chunks =
      "POST /survey HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX-Trailer: y\r\n\r\n";
  EXPECT_EQ(statuses(talk.say_and_wait(chunks)), "200");
  EXPECT_EQ(talk.say_byte_by_byte(chunks.substr(0, chunks.size() - 1)), "");
  EXPECT_EQ(statuses(talk.say_and_wait("\n")), "200");
}

TEST(PostSurvey, TakesALastChunkAloneByBytes) {
  auto talk = as_owner();
  const std::string last =
      "POST /survey HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  EXPECT_EQ(talk.say_byte_by_byte(last.substr(0, last.size() - 1)), "");
  EXPECT_EQ(statuses(talk.say_and_wait("\n")), "200");
}

TEST(PostSurvey, RefusesABodyThatItDoesNotKnow) {
  auto talk = as_owner();
  const std::string answer = talk.say_and_wait(post("/survey", R"({"verified": true})"));
  EXPECT_EQ(statuses(answer), "400");
  EXPECT_TRUE(has(answer, "verified"));
}

TEST(PostSurvey, VerifiesNothingOnBehalfOfAnotherProcess) {
  auto talk = as_owner();
  EXPECT_EQ(statuses(talk.say_and_wait(post("/survey", R"({"verify": false})"))), "200");
  const std::string answer = talk.say_and_wait(post("/survey", R"({"verify": true})"));
  EXPECT_EQ(statuses(answer), "400");
  EXPECT_TRUE(has(answer, "another process"));
}

TEST(Mutation, IsForRootAndTheDaemonsOwnUser) {
  for (const auto& [pid, uid, status] :
       {std::tuple{1, 0U, "200"}, std::tuple{1, static_cast<unsigned>(::geteuid()), "200"},
        std::tuple{1, 4242U, "403"}, std::tuple{1, overflow_uid(), "403"},
        std::tuple{0, 0U, "403"}}) {
    Conversation talk{{}, unix_listener(), peer(pid, uid)};
    EXPECT_EQ(statuses(talk.say_and_wait(post("/survey", ""))), status) << pid << " " << uid;
  }
}

TEST(Mutation, IsNotForSomebodyWhoCannotBeIdentified) {
  http::Peer nobody;
  nobody.unix_owner = os_error(ENOTCONN, "getsockopt");
  Conversation talk{{}, unix_listener(), nobody};
  EXPECT_EQ(statuses(talk.say_and_wait(post("/survey", ""))), "403");
}

TEST(Mutation, TellsNobodyButAnOwnerWhatIsWrongWithTheBody) {
  Conversation talk{{}, unix_listener(), peer(1, 4242)};
  EXPECT_EQ(statuses(talk.say_and_wait(post("/cgroups/ensure", "{"))), "403");
  auto owner = as_owner();
  EXPECT_EQ(statuses(owner.say_and_wait(post("/cgroups/ensure", "{"))), "400");
}

TEST(Ensure, Is501WithoutACgroupTree) {
  auto talk = as_owner();
  const std::string answer = talk.say_and_wait(post("/cgroups/ensure", ""));
  EXPECT_EQ(statuses(answer), "501");
  EXPECT_TRUE(has(answer, "no-usable-cgroup2"));
}

TEST(DeleteContainer, RefusesAnIdOutsideOfTheGrammar) {
  auto talk = as_owner();
  for (const char* id : {"..", "a/b", "cgroup.procs", "", "a\x80"})
    EXPECT_EQ(statuses(talk.say_and_wait("DELETE /cgroups/containers/" + std::string{id} +
                                         " HTTP/1.1\r\nHost: x\r\n\r\n")),
              "400")
        << id;
}

TEST(DeleteContainer, KnowsNoMember) {
  auto talk = as_owner();
  EXPECT_EQ(statuses(talk.say_and_wait("DELETE /cgroups/containers/a HTTP/1.1\r\nHost: x\r\n"
                                       "Content-Length: 7\r\n\r\n{\"x\":1}")),
            "400");
}

TEST(Expectation, OfAContinueIsMetBeforeTheBody) {
  auto talk = as_owner();
  EXPECT_EQ(talk.say("POST /survey HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n"
                     "Content-Length: 2\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(statuses(talk.say_and_wait("{}")), "200");
}

TEST(Expectation, OfAContinueIsNotMetWhenTheAnswerIsKnown) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say("POST /x HTTP/1.1\r\nHost: localhost:9847\r\n"
                              "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")),
            "404");
  EXPECT_TRUE(talk.finished());
}

TEST(Expectation, OfAnythingElseIs417) {
  auto talk = as_owner();
  EXPECT_EQ(statuses(talk.say("POST /survey HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n"
                              "Content-Length: 2\r\n\r\n")),
            "417");
  EXPECT_TRUE(talk.finished());
}

TEST(Mutation, IsAnsweredBeforeTheRequestBehindIt) {
  auto talk = as_owner();
  std::string answers = talk.say_and_wait(post("/survey", "{}") +
                                          "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                                          "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  answers += talk.hear();
  EXPECT_EQ(statuses(answers), "200 200 404");
}

}  // namespace
}  // namespace surveyd::test
