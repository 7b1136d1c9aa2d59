#include "http/response.hpp"

#include <gtest/gtest.h>

#include "http/problem.hpp"
#include "support/conversation.hpp"

namespace surveyd::test {
namespace {

unsigned status_for(const std::shared_ptr<const http::Document>& document,
                    const std::string& if_none_match) {
  const std::string text =
      "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + if_none_match + "\r\n\r\n";
  http::Request request;
  const http::Limits limits;
  http::RequestParser parser{request, limits};
  boost::system::error_code error;
  parser.parse(text, error);
  return http::respond_with(document, request).status;
}

TEST(IfNoneMatch, IsAListComparedWeakly) {
  const auto document = http::make_document("text/plain", "body");
  const std::string tag = document->etag;
  for (const std::string& list : std::vector<std::string>{
           tag, "W/" + tag, "*", "\"a\", " + tag, tag + ", \"b\"", "\"a\"," + tag + ",\"b\"",
           "  " + tag + "  ", "\"a\" ,\t" + tag, ",, ," + tag, "W/\"a\", W/" + tag})
    EXPECT_EQ(status_for(document, list), 304U) << list;
}

TEST(IfNoneMatch, MatchesTheWholeTag) {
  const auto document = http::make_document("text/plain", "body");
  const std::string tag = document->etag;
  const std::string bare = tag.substr(1, tag.size() - 2);
  for (const std::string& list :
       std::vector<std::string>{std::string{}, bare, "\"" + bare, bare + "\"", "\"a\"", "w/" + tag,
                                "W/W/" + tag, "\"" + bare + "x\"", "\"x" + bare + "\"", tag + "x",
                                std::string{","}, std::string{"\"*\""}})
    EXPECT_EQ(status_for(document, list), 200U) << list;
}

TEST(Etag, TellsBodiesApart) {
  const auto tag = [](const char* body) { return http::make_document("x", body)->etag; };
  EXPECT_EQ(tag("a"), tag("a"));
  EXPECT_NE(tag("a"), tag("b"));
  EXPECT_NE(tag("ab"), tag("ba"));
  EXPECT_TRUE(tag("").starts_with("\"") && tag("").ends_with("\""));
}

struct ErrorRow {
  std::error_code code;
  unsigned status;
};

const ErrorRow error_rows[] = {{Fault::invalid_container_id, 400},
                               {Fault::no_usable_cgroup2, 501},
                               {Fault::occupied, 409},
                               {{EBUSY, std::generic_category()}, 409},
                               {Fault::timed_out, 504},
                               {Fault::not_read_back, 503},
                               {Fault::not_a_domain, 503},
                               {{EROFS, std::generic_category()}, 503},
                               {{EPERM, std::generic_category()}, 503},
                               {{EACCES, std::generic_category()}, 503},
                               {{ENOENT, std::generic_category()}, 503},
                               {{ENOSPC, std::generic_category()}, 503}};

TEST(Problem, HasAStatusForEachError) {
  for (const auto& [code, status] : error_rows) {
    Error error{.code = code};
    EXPECT_EQ(http::problem(error).status, status) << code.message();
    EXPECT_EQ(http::problem(error).content_type, "application/problem+json");
  }
}

TEST(Problem, TellsWhatTheKernelRefused) {
  const std::string body = http::problem(os_error(EROFS, "mkdir", "/zlayer")).body;
  for (const char* member : {R"("op": "mkdir")", R"("path": "/zlayer")", R"("errno": "EROFS")"})
    EXPECT_NE(body.find(member), std::string::npos) << member;
}

}  // namespace
}  // namespace surveyd::test
