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

// The answer that the head alone gets: one that refuses does not wait for the body.
Outcome to_head(std::string_view bytes) {
  const std::size_t from = bytes.starts_with("\r\n") ? 2 : 0;
  const auto end = bytes.find("\r\n\r\n", from);
  if (end == std::string_view::npos) return {};
  Talk talk;
  return outcome(talk, talk.say(bytes.substr(0, end + 4)));
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
    const Outcome head = to_head(bytes);
    const auto is_same = [&](const Outcome& one) {
      return one == whole || (one == head && one.finished);
    };
    Talk slow;
    const Outcome single = outcome(slow, slow.say_byte_by_byte(bytes));
    EXPECT_TRUE(is_same(single)) << id << " byte by byte\n" << single.answer << whole.answer;
    const std::size_t step = bytes.size() / most_cuts + 1;
    for (std::size_t cut = 1 + number++ % step; cut < bytes.size(); cut += step) {
      const Outcome two = in_two(bytes, cut);
      ASSERT_TRUE(is_same(two)) << id << " cut at " << cut << "\n" << two.answer << whole.answer;
    }
  }
}

}  // namespace
}  // namespace surveyd::test
