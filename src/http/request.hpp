#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include "http/limits.hpp"

namespace surveyd::http {

using boost::beast::http::field;
using boost::beast::http::verb;

struct HeaderField {
  field known = field::unknown;  ///< for the names that Beast knows
  std::string_view name;
  std::string_view value;
};

/// A request as its bytes say it. The views point into the connection's buffer until `detach`.
struct Request {
  verb method = verb::unknown;
  std::string_view method_text;
  std::string_view target;
  unsigned version = 11;  ///< 10 or 11
  bool keep_alive = true;
  std::string body;

  [[nodiscard]] const HeaderField* begin() const { return fields_.data(); }
  [[nodiscard]] const HeaderField* end() const { return fields_.data() + size_; }
  [[nodiscard]] const HeaderField* find(field name) const;

  /// Whether the client waits for a 100 before it sends the body, and whether it waits for anything
  /// that nobody here can give. HTTP/1.0 knows neither (RFC 9110, 10.1.1).
  [[nodiscard]] bool expects_continue() const;
  [[nodiscard]] bool expects_other_than_continue() const;

  /// Gives back what a large request needed.
  void shrink();

  /// Keeps a copy of the head, so that the buffer it was parsed from can change.
  void detach(std::string_view head);

 private:
  friend class RequestParser;
  std::string head_;
  std::array<HeaderField, 64> fields_;
  std::size_t size_ = 0;
};

/// Beast's parser over one contiguous buffer. It copies nothing but the body.
class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  RequestParser(Request& request, const Limits& limits);

  /// Parses what is there (a head without folded lines), the first time a whole head at least; says
  /// how many of its bytes are done with. What is left has to come again, with more behind it.
  std::size_t parse(std::string_view input, boost::system::error_code& error);

 private:
  using error_code = boost::system::error_code;
  using view = boost::beast::string_view;

  void on_request_impl(verb method, view method_text, view target, int version,
                       error_code& error) override;
  void on_response_impl(int, view, int, error_code&) override {}
  void on_field_impl(field name, view name_text, view value, error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(view bytes, error_code& error) override;
  void on_chunk_header_impl(std::uint64_t size, view extensions, error_code& error) override;
  std::size_t on_chunk_body_impl(std::uint64_t left, view bytes, error_code& error) override;
  void on_finish_impl(error_code&) override {}

  Request& request_;
  view input_;  ///< what is being parsed
  bool in_trailers_ = false;
};

}  // namespace surveyd::http
