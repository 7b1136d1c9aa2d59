// What a connection does when time passes, and how it ends.

#include <gtest/gtest.h>

#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view healthz = "GET /healthz HTTP/1.1\r\nHost: localhost:9847\r\n\r\n";
constexpr std::string_view half_head = "GET /healthz HTTP/1.1\r\nHost:";
constexpr std::string_view post_head =
    "POST /survey HTTP/1.1\r\nHost: localhost:9847\r\nContent-Length: 2\r\n\r\n";

bool closes(const std::string& answer) {
  return answer.find("\r\nConnection: close\r\n") != std::string::npos;
}

TEST(Deadline, OfTheHeadIsAnswered408) {
  Conversation talk;
  talk.send(half_head);
  talk.pass(9s);
  EXPECT_EQ(talk.hear(), "");
  talk.pass(11s);
  const std::string answer = talk.hear();
  EXPECT_EQ(statuses(answer), "408");
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(talk.finished());
}

TEST(Deadline, OfTheHeadIsNotExtendedByWhatTricklesIn) {
  http::Limits limits;
  limits.head_deadline = 1s;
  Conversation talk{limits};
  for (const char byte : half_head) EXPECT_EQ(talk.say({&byte, 1}), "");
  talk.pass(1s);
  EXPECT_EQ(statuses(talk.hear()), "408");
}

TEST(Deadline, OfTheBodyIsAnswered408) {
  Conversation talk;
  EXPECT_EQ(talk.say(post_head), "");
  EXPECT_EQ(talk.say("{"), "");
  talk.pass(4s);
  EXPECT_EQ(talk.hear(), "");
  talk.pass(6s);
  const std::string answer = talk.hear();
  EXPECT_EQ(statuses(answer), "408");
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(talk.finished());
}

TEST(Deadline, OfAnIdleConnectionClosesSilently) {
  for (const bool after_a_request : {false, true}) {
    Conversation talk;
    if (after_a_request) talk.say(healthz);
    talk.pass(59s);
    EXPECT_FALSE(talk.closed());
    talk.pass(61s);
    EXPECT_EQ(talk.hear(), "");
    EXPECT_TRUE(talk.closed());
  }
}

TEST(Deadline, OfAnIdleConnectionIsNotThatOfAHeadAfterAnEmptyLine) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say(healthz)), "200");
  talk.pass(50s);
  EXPECT_EQ(talk.say("\r\n"), "");
  talk.pass(59s);
  EXPECT_FALSE(talk.closed());
  talk.pass(61s);
  EXPECT_EQ(talk.hear(), "");
  EXPECT_TRUE(talk.closed());
}

TEST(Deadline, OfTakingAnAnswerHoldsForWhatTheKernelKeeps) {
  for (const bool taken : {false, true}) {
    Conversation talk;
    talk.send(healthz);
    talk.pass(0s);
    talk.pass(14s);
    EXPECT_FALSE(talk.closed());
    if (taken) {
      EXPECT_EQ(statuses(talk.hear()), "200");
    }
    talk.pass(16s);
    EXPECT_EQ(talk.closed(), !taken);
  }
}

TEST(Deadline, OfTakingAnAnswerIsNotExtendedByAskingMore) {
  Conversation talk;
  talk.send(healthz);
  talk.pass(0s);
  for (const auto time : {4s, 8s, 14s}) {
    talk.send(healthz);
    talk.pass(time);
    EXPECT_FALSE(talk.closed());
  }
  talk.pass(16s);
  EXPECT_TRUE(talk.closed());
}

TEST(Deadline, OfTakingAnAnswerBeginsAgainWithWhatFollowsOne) {
  Conversation talk;
  talk.send(healthz);
  talk.pass(0s);
  EXPECT_EQ(statuses(talk.hear()), "200");
  talk.send(healthz);
  talk.pass(14s);
  talk.pass(16s);
  EXPECT_FALSE(talk.closed());
  talk.pass(31s);
  EXPECT_TRUE(talk.closed());
}

TEST(Deadline, OfTakingAnAnswerHoldsForTheLastOneToo) {
  for (const bool more_to_come : {false, true}) {
    Conversation talk;
    talk.send("GET /healthz HTTP/1.1\r\nHost: localhost:9847\r\nConnection: close\r\n\r\n");
    if (!more_to_come) talk.finish_sending();
    talk.pass(0s);
    talk.pass(3s);  // for what may still come
    talk.pass(14s);
    EXPECT_FALSE(talk.closed());
    talk.pass(16s);
    talk.wait_until_closed();
    EXPECT_TRUE(talk.closed());
  }
}

TEST(Deadline, BeginsAgainWithEachRequest) {
  http::Limits limits;
  limits.head_deadline = 1s;
  Conversation talk{limits};
  EXPECT_EQ(statuses(talk.say(healthz)), "200");
  talk.pass(2s);  // idle now, not in a head
  EXPECT_EQ(statuses(talk.say(healthz)), "200");
}

TEST(Deadline, OfTheHeadHoldsForARequestThatArrivedBehindAnother) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say(std::string{healthz} + std::string{half_head})), "200");
  talk.pass(11s);
  EXPECT_EQ(statuses(talk.hear()), "408");
  EXPECT_TRUE(talk.finished());
}

TEST(Deadline, OfAnAnswerThatNobodyReadsAborts) {
  Conversation talk;
  talk.service.capabilities =
      http::make_document("application/json", std::string(8 * 1024 * 1024, 'x'));
  talk.send("GET /capabilities HTTP/1.1\r\nHost: localhost:9847\r\n\r\n");
  talk.pass(0s);
  talk.pass(14s);
  EXPECT_FALSE(talk.closed());
  talk.pass(16s);
  EXPECT_TRUE(talk.closed());
}

TEST(Deadline, OfAnAnswerIsKeptByAClientThatReads) {
  Conversation talk;
  talk.service.capabilities =
      http::make_document("application/json", std::string(8 * 1024 * 1024, 'x'));
  const std::string answer = talk.say("GET /capabilities HTTP/1.1\r\nHost: localhost:9847\r\n\r\n");
  EXPECT_GT(answer.size(), 8U * 1024 * 1024);
  talk.pass(16s);
  EXPECT_FALSE(talk.closed());
}

TEST(Closing, WaitsForTheOtherEnd) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say("hello\r\n\r\n")), "400");
  EXPECT_FALSE(talk.closed());
  talk.finish_sending();
  EXPECT_TRUE(talk.closed());
}

TEST(Closing, WaitsOnlySoLong) {
  Conversation talk;
  EXPECT_EQ(statuses(talk.say("hello\r\n\r\n")), "400");
  talk.pass(1s);
  EXPECT_FALSE(talk.closed());
  talk.pass(3s);
  EXPECT_TRUE(talk.closed());
}

TEST(Closing, ReadsOnlySoMuch) {
  http::Limits limits;
  limits.linger_bytes = 1000;
  Conversation talk{limits};
  EXPECT_EQ(statuses(talk.say("hello\r\n\r\n")), "400");
  talk.send(std::string(999, 'x'));
  EXPECT_FALSE(talk.closed());
  talk.send("x");
  EXPECT_TRUE(talk.closed());
}

TEST(Drain, ClosesAnIdleConnectionSilently) {
  Conversation talk;
  talk.say(healthz);
  talk.drain();
  EXPECT_EQ(talk.hear(), "");
  EXPECT_TRUE(talk.closed());
}

TEST(Drain, GivesANewConnectionAMomentForItsFirstRequest) {
  Conversation talk;
  talk.drain();
  EXPECT_FALSE(talk.closed());
  const std::string answer = talk.say(healthz);
  EXPECT_EQ(statuses(answer), "200");
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(talk.finished());
}

TEST(Drain, ClosesANewConnectionThatSendsNothing) {
  Conversation talk;
  talk.drain();
  talk.pass(400ms);
  EXPECT_FALSE(talk.closed());
  talk.pass(600ms);
  EXPECT_EQ(talk.hear(), "");
  EXPECT_TRUE(talk.closed());
}

TEST(Drain, LetsARequestEndThatHasBegun) {
  Conversation talk;
  talk.send(half_head);
  talk.drain();
  EXPECT_FALSE(talk.closed());
  const std::string answer = talk.say(healthz.substr(half_head.size()));
  EXPECT_EQ(statuses(answer), "200");
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(talk.finished());
}

TEST(Drain, StillKeepsTheDeadlines) {
  Conversation talk;
  talk.send(half_head);
  talk.drain();
  talk.pass(11s);
  EXPECT_EQ(statuses(talk.hear()), "408");
}

TEST(Drain, TakesNoRequestBehindTheOneThatHasBegun) {
  Conversation talk;
  talk.send(half_head);
  talk.drain();
  const std::string rest{healthz.substr(half_head.size())};
  EXPECT_EQ(statuses(talk.say(rest + std::string{healthz})), "200");
}

}  // namespace
}  // namespace surveyd::test
