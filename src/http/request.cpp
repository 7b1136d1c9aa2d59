#include "http/request.hpp"

#include <algorithm>
#include <functional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

namespace surveyd::http {

namespace {

std::string_view standard(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

const HeaderField* Request::find(field name) const {
  const HeaderField* found =
      std::find_if(begin(), end(), [name](const HeaderField& one) { return one.known == name; });
  return found == end() ? nullptr : found;
}

bool Request::expects_continue() const {
  return version != 10 && find(field::expect) != nullptr && !expects_other_than_continue();
}

bool Request::expects_other_than_continue() const {
  const HeaderField* expected = find(field::expect);
  return version != 10 && expected != nullptr &&
         !boost::beast::iequals({expected->value.data(), expected->value.size()}, "100-continue");
}

void Request::shrink() {
  body.clear();
  body.shrink_to_fit();
  head_.clear();
  head_.shrink_to_fit();
}

void Request::detach(std::string_view head) {
  head_ = head;
  const auto move = [this, head](std::string_view& view) {
    view = {head_.data() + (view.data() - head.data()), view.size()};
  };
  move(method_text);
  move(target);
  for (std::size_t i = 0; i < size_; ++i) {
    move(fields_[i].name);
    move(fields_[i].value);
  }
}

RequestParser::RequestParser(Request& request, const Limits& limits) : request_(request) {
  header_limit(static_cast<std::uint32_t>(limits.head_bytes));
  body_limit(limits.body_bytes);
  eager(true);
  request_.size_ = 0;
  request_.body.clear();
}

std::size_t RequestParser::parse(std::string_view input, boost::system::error_code& error) {
  // Of a body without a chunk but the last one, Beast asserts that it comes whole, once its first
  // line has been seen.
  if (is_header_done() && chunked() && input.size() < 5 && input.starts_with("0\r\n")) return 0;
  input_ = {input.data(), input.size()};
  const std::size_t used = put(boost::asio::const_buffer{input.data(), input.size()}, error);
  if (error == boost::beast::http::error::need_more) error = {};
  return used;
}

void RequestParser::on_request_impl(verb method, view method_text, view target, int version,
                                    error_code&) {
  request_.method = method;
  request_.method_text = standard(method_text);
  request_.target = standard(target);
  request_.version = static_cast<unsigned>(version);
}

void RequestParser::on_field_impl(field name, view name_text, view value, error_code& error) {
  // Trailers are not headers: nothing that decides may come after the head.
  if (in_trailers_) {
    // Beast joins folded lines in a place of its own.
    const std::less<> before;
    const bool is_folded = before(value.data(), input_.data()) ||
                           before(input_.data() + input_.size(), value.data() + value.size());
    if (is_folded) error = boost::beast::http::error::bad_value;
    return;
  }
  if (request_.size_ == request_.fields_.size()) {
    error = boost::beast::http::error::header_limit;
    return;
  }
  request_.fields_[request_.size_++] = {name, standard(name_text), standard(value)};
}

void RequestParser::on_header_impl(error_code&) {
  in_trailers_ = true;
  request_.keep_alive = keep_alive();
}

// Beast takes any byte between quotes, a line feed among them: somebody before us may end the line
// there.
void RequestParser::on_chunk_header_impl(std::uint64_t, view extensions, error_code& error) {
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(extensions.begin(), extensions.end(), is_control))
    error = boost::beast::http::error::bad_chunk_extension;
}

std::size_t RequestParser::on_body_impl(view bytes, error_code&) {
  request_.body.append(bytes.data(), bytes.size());
  return bytes.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, view bytes, error_code& error) {
  return on_body_impl(bytes, error);
}

}  // namespace surveyd::http
