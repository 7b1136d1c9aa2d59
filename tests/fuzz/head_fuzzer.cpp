// What a client sends: the check of the raw head, then Beast's parser. Whatever both let pass means
// one thing only, and does so however the network cuts it.

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "http/request.hpp"
#include "http/strictness.hpp"

namespace surveyd::fuzz {
namespace {

using http::Request;
using http::RequestParser;

constexpr std::string_view head_end = "\r\n\r\n";

http::Limits limits() {
  http::Limits limits;
  limits.body_bytes = 256;
  return limits;
}

struct Outcome {
  bool refused = false;
  bool done = false;
  std::size_t used = 0;
  Request request;
};

// As a connection does it: the whole head and perhaps more, then what is left and what has arrived
// since. Each piece lies in memory of its own size, so that the sanitizers see what is read past
// it.
Outcome parse(std::string_view input, std::size_t head_size, const std::vector<std::size_t>& cuts) {
  Outcome outcome;
  RequestParser parser{outcome.request, limits()};
  bool head_done = false;
  for (const std::size_t cut : cuts) {
    const std::string_view piece = input.substr(outcome.used, cut - outcome.used);
    const std::vector<char> memory{piece.begin(), piece.end()};
    boost::system::error_code error;
    const std::size_t used = parser.parse({memory.data(), memory.size()}, error);
    require(used <= piece.size(), "the parser uses no more than there is");
    outcome.used += used;
    outcome.refused = error.failed();
    if (outcome.refused) return outcome;
    require(parser.is_header_done(), "a whole head is done with at once");
    if (!head_done) outcome.request.detach({memory.data(), head_size});
    head_done = true;
    outcome.done = parser.is_done();
    if (outcome.done) return outcome;
  }
  return outcome;
}

bool is_token(std::string_view text) {
  constexpr std::string_view allowed =
      "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result{text};
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string_view without_blanks(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

struct Field {
  std::string name;  // in lower case
  std::string_view value;
};

// A second reading of a head that was accepted, as simple as RFC 9112 allows.
struct Head {
  std::string_view request_line;
  std::vector<Field> fields;

  [[nodiscard]] std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(std::count_if(
        fields.begin(), fields.end(), [name](const Field& field) { return field.name == name; }));
  }
  [[nodiscard]] std::string_view value(std::string_view name) const {
    for (const Field& field : fields)
      if (field.name == name) return field.value;
    return {};
  }
};

Head read(std::string_view head) {
  Head result;
  const auto line = [&head] {
    const std::string_view one = head.substr(0, head.find("\r\n"));
    head.remove_prefix(one.size() + 2);
    require(one.find_first_of("\r\n") == std::string_view::npos,
            "no line of an accepted head holds CR or LF");
    return one;
  };
  result.request_line = line();
  while (true) {
    const std::string_view one = line();
    if (one.empty()) return result;
    const auto colon = one.find(':');
    require(colon != std::string_view::npos && is_token(one.substr(0, colon)),
            "an accepted field has a token for a name");
    result.fields.push_back({lower(one.substr(0, colon)), without_blanks(one.substr(colon + 1))});
    for (const char c : result.fields.back().value)
      require((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t',
              "an accepted field holds no control character");
  }
}

void check_accepted(const Head& head) {
  for (const char* once :
       {"host", "content-length", "transfer-encoding", "origin", "authorization", "expect"})
    require(head.count(once) <= 1, "a field that decides is there once");
  require(head.count("content-length") == 0 || head.count("transfer-encoding") == 0,
          "there is one framing");
  if (head.count("transfer-encoding") > 0)
    require(lower(head.value("transfer-encoding")) == "chunked", "only chunked is accepted");
}

// Beast has to have read the same as the second reading.
void check_parsed(const Head& head, const Request& request) {
  const std::string_view line = head.request_line;
  require(std::string{request.method_text} + " " + std::string{request.target} + " HTTP/1." +
                  std::to_string(request.version - 10) ==
              line,
          "the request line is read as it is written");
  for (const char c : request.target) require(c > 0x20 && c < 0x7f, "a target is visible ASCII");
  require(is_token(request.method_text), "a method is a token");
  require(request.version == 10 || request.version == 11, "the version is 1.0 or 1.1");
  require(request.version == 10 || head.count("host") == 1, "HTTP/1.1 has one Host");

  const bool expects = request.version == 11 && head.count("expect") > 0;
  const bool continues = lower(head.value("expect")) == "100-continue";
  require(request.expects_continue() == (expects && continues) &&
              request.expects_other_than_continue() == (expects && !continues),
          "what is expected is 100-continue or something else");

  const auto size = static_cast<std::size_t>(request.end() - request.begin());
  require(size == head.fields.size(), "both readings find as many fields");
  for (std::size_t i = 0; i < size; ++i) {
    const http::HeaderField& field = request.begin()[i];
    require(lower(field.name) == head.fields[i].name, "both readings find the same names");
    require(field.value == head.fields[i].value, "both readings find the same values");
  }
}

void check_framing(const Head& head, std::size_t head_size, const Outcome& outcome) {
  if (!outcome.done) return;
  const std::string_view length = head.value("content-length");
  require(outcome.request.body.size() <= limits().body_bytes, "a body keeps to its limit");
  if (head.count("content-length") > 0) {
    std::size_t number = 0;
    const auto [stop, error] =
        std::from_chars(length.data(), length.data() + length.size(), number);
    require(error == std::errc{} && stop == length.data() + length.size() &&
                outcome.request.body.size() == number && outcome.used == head_size + number,
            "a body has the length that was announced");
  } else if (head.count("transfer-encoding") == 0) {
    require(outcome.request.body.empty() && outcome.used == head_size,
            "without framing there is no body");
  }
}

void check_same(const Outcome& whole, const Outcome& cut) {
  // What is never accepted may be refused sooner or later: for one, Beast waits for the end of a
  // quoted chunk extension when its line has ended already.
  require(whole.done == cut.done, "however it is cut, it is accepted or not");
  if (!whole.done) return;
  require(whole.used == cut.used && whole.request.body == cut.request.body,
          "however it is cut, the body is the same");
  require(whole.request.method_text == cut.request.method_text &&
              whole.request.target == cut.request.target &&
              whole.request.keep_alive == cut.request.keep_alive,
          "however it is cut, the head is the same");
  require(
      std::equal(whole.request.begin(), whole.request.end(), cut.request.begin(), cut.request.end(),
                 [](const http::HeaderField& one, const http::HeaderField& other) {
                   return one.name == other.name && one.value == other.value;
                 }),
      "however it is cut, the fields are the same");
}

void check(std::string_view input) {
  const auto end = input.find(head_end);
  if (end == std::string_view::npos) {
    require(http::violation_in_head(input).has_value(), "what has no end is no head");
    return;
  }
  const std::size_t head_size = end + head_end.size();
  if (head_size > limits().head_bytes) return;
  const std::string_view head = input.substr(0, head_size);
  if (http::violation_in_head(head)) return;
  const Head second = read(head);
  check_accepted(second);
  require(http::host_in_head(head) == second.value("host"),
          "whom a head is for is found before it is parsed");

  const Outcome whole = parse(input, head_size, {input.size()});
  if (!whole.refused) {
    check_parsed(second, whole.request);
    check_framing(second, head_size, whole);
  }
  // Byte by byte behind the head, and in two at a place that the input chooses.
  std::vector<std::size_t> cuts;
  for (std::size_t cut = head_size; cut <= input.size(); ++cut) cuts.push_back(cut);
  Outcome cut_everywhere = parse(input, head_size, cuts);
  check_same(whole, cut_everywhere);
  cut_everywhere.request.shrink();
  require(cut_everywhere.request.body.capacity() < limits().body_bytes,
          "an idle connection keeps no body");
  if (const std::size_t rest = input.size() - head_size; rest > 0) {
    const std::size_t cut = head_size + static_cast<unsigned char>(input.back()) % rest;
    check_same(whole, parse(input, head_size, {cut, input.size()}));
  }
}

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  surveyd::fuzz::check(surveyd::fuzz::text_of(data, size));
  return 0;
}
