#include "http/strictness.hpp"

#include <gtest/gtest.h>

namespace surveyd::test {
namespace {

using http::violation_in_head;

std::string head(const std::string& fields, const std::string& version = "1.1") {
  return "POST /survey HTTP/" + version + "\r\nHost: x\r\n" + fields + "\r\n";
}

TEST(Strictness, LetsOrdinaryHeadsPass) {
  for (const std::string& text : std::vector<std::string>{
           head(""), head("X:\r\n"), head("X: \t a\tb \r\n"), head("X-y_z.1!#$%&'*+^`|~: a\r\n"),
           head("X: caf\xc3\xa9 \xff\r\n"), head("X: a\r\nX: b\r\n"), head("X: a:b\r\n"),
           head("Content-Length: 0\r\n"), head("content-length:  007 \r\n"),
           head("Transfer-Encoding: Chunked\r\n"), head("Content-Length: 5\r\n", "1.0"),
           std::string{"GET / HTTP/1.0\r\n\r\n"},
           std::string{"GET /~!*'();:@&=+$,?#[]% HTTP/1.1\r\n"
                       "hOST:\r\n\r\n"}})
    EXPECT_FALSE(violation_in_head(text)) << text << *violation_in_head(text);
}

struct Row {
  const char* why;
  std::string text;
};

const Row rows[] = {
    {"nothing", ""},
    {"no end", "GET / HTTP/1.1\r\nHost: x\r\n"},
    {"bare LF in the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"},
    {"bare LF in a field", head("X: a\nY: b\r\n")},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n\r\n"},
    {"bare CR in a value", head("X: a\rb\r\n")},
    {"bare CR in the target", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"CR twice", head("X: a\r\r\n")},
    {"NUL in a value", head(std::string{"X: a\0b\r\n", 8})},
    {"DEL in a value", head("X: a\x7f\r\n")},
    {"vertical tab in a value", head("X: a\vb\r\n")},
    {"folded by a blank", head("X: a\r\n b\r\n")},
    {"folded by a tab", head("X: a\r\n\tb\r\n")},
    {"blank before the first name", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
    {"blank before the colon", head("X : a\r\n")},
    {"tab before the colon", head("X\t: a\r\n")},
    {"empty name", head(": a\r\n")},
    {"no colon", head("X\r\n")},
    {"name beyond ASCII", head("X\xc3\xa9: a\r\n")},
    {"name with a slash", head("X/y: a\r\n")},
    {"method with a colon", "G:T / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"no method", " / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"no target", "GET  HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"two blanks", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"no version", "GET /\r\nHost: x\r\n\r\n"},
    {"blank behind the version", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"},
    {"tab in the target", "GET /\ta HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"NUL in the target", std::string{"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 28}},
    {"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"target beyond ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"},
    {"Host twice", head("host: x\r\n")},
    {"Host twice on 1.0", head("HOST: x\r\n", "1.0")},
    {"Origin twice", head("Origin: a\r\norigin: a\r\n")},
    {"Authorization twice", head("Authorization: a\r\nAuthorization: a\r\n")},
    {"Expect twice", head("Expect: 100-continue\r\nExpect: 100-continue\r\n")},
    {"length twice", head("Content-Length: 1\r\nContent-Length: 1\r\n")},
    {"two lengths in one", head("Content-Length: 1, 1\r\n")},
    {"empty length", head("Content-Length:\r\n")},
    {"signed length", head("Content-Length: +1\r\n")},
    {"negative length", head("Content-Length: -1\r\n")},
    {"hexadecimal length", head("Content-Length: 0x1\r\n")},
    {"length with a fraction", head("Content-Length: 1.0\r\n")},
    {"length with a blank inside", head("Content-Length: 1 1\r\n")},
    {"length and encoding", head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")},
    {"encoding and length", head("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n")},
    {"encoding on 1.0", head("Transfer-Encoding: chunked\r\n", "1.0")},
    {"encoding twice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {"empty encoding", head("Transfer-Encoding:\r\n")},
    {"identity", head("Transfer-Encoding: identity\r\n")},
    {"encoding of two", head("Transfer-Encoding: gzip, chunked\r\n")},
    {"chunked twice", head("Transfer-Encoding: chunked, chunked\r\n")},
    {"quoted chunked", head("Transfer-Encoding: \"chunked\"\r\n")},
    {"chunked with a parameter", head("Transfer-Encoding: chunked;x=y\r\n")},
    {"nearly chunked", head("Transfer-Encoding: xchunked\r\n")}};

TEST(Strictness, RefusesWhatTwoReadersCouldTakeDifferently) {
  for (const auto& [why, text] : rows) EXPECT_TRUE(violation_in_head(text)) << why;
}

}  // namespace
}  // namespace surveyd::test
