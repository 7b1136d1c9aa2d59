// gzip put together from parts: whole to who reads it, and only for who asks.

#include "http/gzip.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

using http::Deflated;
using http::Effort;

std::string unzipped(const std::string& body) {
  constexpr int gzip_only = MAX_WBITS + 16;
  z_stream stream{};
  EXPECT_EQ(::inflateInit2(&stream, gzip_only), Z_OK);
  std::string text(1 << 22, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  // The end of the stream means that CRC and length were right.
  EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0U);
  text.resize(stream.total_out);
  ::inflateEnd(&stream);
  return text;
}

std::string noise(std::size_t size) {
  std::string text(size, '\0');
  unsigned state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1'103'515'245 + 12'345) >> 16);
  return text;
}

TEST(Gzip, IsOneMemberOfAllParts) {
  const std::vector<std::string> texts = {"",       "a",           std::string(100'000, 'x'),
                                          noise(1), noise(70'000), noise(1'000'000)};
  for (const std::string& first : texts)
    for (const std::string& second : texts) {
      const Deflated one = http::deflate(first, Effort::usual);
      const Deflated two = http::deflate(second, Effort::least);
      EXPECT_EQ(unzipped(http::gzip_of({&one, &two})), first + second);
    }
  EXPECT_EQ(unzipped(http::gzip_of({})), "");
}

TEST(Gzip, IsForWhoAsksForIt) {
  struct Row {
    const char* field;
    bool wanted;
  };
  for (const Row& row : {Row{"", false},
                         {"Accept-Encoding: gzip\r\n", true},
                         {"accept-encoding: deflate, GZIP;q=0.5\r\n", true},
                         {"Accept-Encoding: *\r\n", true},
                         {"Accept-Encoding: gzip;q=0, *\r\n", false},
                         {"Accept-Encoding: *;q=0\r\n", false},
                         {"Accept-Encoding: gzip; q=0.00\r\n", false},
                         {"Accept-Encoding: gzip;q=0.001\r\n", true},
                         {"Accept-Encoding: identity\r\n", false},
                         {"Accept-Encoding: gzipped\r\n", false},
                         {"Accept-Encoding: \r\n", false},
                         {"Accept-Encoding: ,,\r\n", false}}) {
    Conversation talk;
    const std::string answer = talk.say("GET /metrics HTTP/1.1\r\nHost: localhost:9847\r\n" +
                                        std::string{row.field} + "\r\n");
    EXPECT_EQ(answer.find("Content-Encoding: gzip\r\n") != std::string::npos, row.wanted)
        << row.field;
    EXPECT_NE(answer.find("Vary: Accept-Encoding\r\n"), std::string::npos);
    const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
    const std::string text = row.wanted ? unzipped(body) : body;
    EXPECT_NE(text.find("\nprocess_cpu_seconds_total "), std::string::npos) << row.field;
  }
}

}  // namespace
}  // namespace surveyd::test
