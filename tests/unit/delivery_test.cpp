// Requests that others wrote: how they arrive makes no difference.

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/conversation.hpp"
#include "support/corpora.hpp"

namespace surveyd::test {
namespace {

std::string from_base64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto digit = digits.find(c);
    if (digit == std::string_view::npos) break;  // padding
    bits = (bits << 6) | static_cast<unsigned>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

struct Vector {
  std::string id;
  std::string bytes;
};

std::vector<Vector> vectors() {
  std::vector<Vector> all;
  std::ifstream file{corpora() / "http1.jsonl"};
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    Vector one{row["src"].get<std::string>() + " " + row["id"].get<std::string>(),
               from_base64(row["b64"].get<std::string>())};
    replace(one.bytes, "@HOST@", "localhost:9847");
    all.push_back(std::move(one));
  }
  return all;
}

/// With the page, which many of them ask for.
struct Talk : Conversation {
  Talk() {
    static const auto page = [this] {
      service.load_page();
      return service.page;
    }();
    service.page = page;
  }
};

/// What came back, and whether anything can follow.
struct Outcome {
  std::string answer;
  bool finished = false;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.answer << (outcome.finished ? "[the end]" : "[more can follow]");
}

// A client that waits for it gets a 100 Continue; one that has sent everything needs none.
Outcome outcome(Conversation& talk, std::string answer) {
  replace(answer, "HTTP/1.1 100 Continue\r\n\r\n", "");
  return {without_date(std::move(answer)), talk.finished()};
}

Outcome in_two(std::string_view bytes, std::size_t cut) {
  Talk talk;
  const std::string answer = talk.say(bytes.substr(0, cut));
  return outcome(talk, answer + talk.say(bytes.substr(cut)));
}

TEST(Vectors, AreAnsweredTheSameHoweverTheyArrive) {
  if (corpora().empty()) GTEST_SKIP() << no_corpora;
  // Every offset of a usual one takes minutes, as each has threads; the long ones are padding.
  // Otherwise some, in each request others.
  const std::size_t most_cuts = std::getenv("SURVEYD_ALL_CUTS") != nullptr ? 400 : 4;
  std::size_t number = 0;
  const auto all = vectors();
  ASSERT_GT(all.size(), 900U);
  for (const auto& [id, bytes] : all) {
    Talk talk;
    const Outcome whole = outcome(talk, talk.say(bytes));
    Talk slow;
    const Outcome single = outcome(slow, slow.say_byte_by_byte(bytes));
    EXPECT_EQ(single, whole) << id << " byte by byte";
    const std::size_t step = bytes.size() / most_cuts + 1;
    for (std::size_t cut = 1 + number++ % step; cut < bytes.size(); cut += step) {
      const Outcome two = in_two(bytes, cut);
      ASSERT_EQ(two, whole) << id << " cut at " << cut;
    }
  }
}

// A head that is refused is refused for what it says, whatever has come behind it by then.
TEST(Heads, AreRefusedTheSameWhateverFollows) {
  const std::string post = "POST /cgroups/ensure HTTP/1.1\r\nHost: localhost:9847\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n";
  const std::string to_host = " HTTP/1.1\r\nHost: localhost:9847\r\n";
  for (const std::string& bytes :
       {post + "Origin: http://evil\r\n" + chunked + "ZZ\r\n",
        post + "Content-Type: text/plain\r\n" + chunked + "5000\r\n",
        post + "Expect: tea\r\n" + chunked + "ZZ\r\n",
        "POST /nowhere" + to_host + chunked + "ZZ\r\n", "BREW /" + to_host + chunked + "ZZ\r\n",
        "POST /" + to_host + "Content-Length: 5\r\n\r\nhello"}) {
    Talk talk;
    const Outcome whole = outcome(talk, talk.say(bytes));
    EXPECT_TRUE(whole.finished);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut)
      ASSERT_EQ(in_two(bytes, cut), whole) << bytes << "\ncut at " << cut;
  }
}

}  // namespace
}  // namespace surveyd::test
