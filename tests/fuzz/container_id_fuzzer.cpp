// The one thing from outside that names a directory to remove.

#include <string>

#include <surveyd/container_id.hpp>

#include "fuzz.hpp"

namespace surveyd::fuzz {
namespace {

constexpr std::string_view letters_and_digits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_id(std::string_view text) {
  return ContainerId::parse(text).has_value();
}

void check(std::string_view text) {
  const auto id = ContainerId::parse(text);
  require(is_cgroup_name(text) == id.has_value(), "both follow one grammar");
  if (!id) {
    require(id.error().code == Fault::invalid_container_id, "the error says what is wrong");
    return;
  }
  require(id->str() == text, "an id is what was written");
  require(!text.empty() && text.size() <= 128, "an id has 1 to 128 characters");
  require(letters_and_digits.find(text.front()) != std::string_view::npos,
          "an id begins with a letter or digit, so it is no dot-dot and no option");
  require(text.find_first_not_of(std::string{letters_and_digits} + "_.-") == std::string_view::npos,
          "an id holds no separator, NUL or control character");
  for (const char* file : {"cgroup.procs", "cgroup.kill", "memory.max", "cpu.stat", "io.max"})
    require(text != file, "an id is no file of the kernel's");

  // What is put behind or before it must not be overlooked.
  for (const char c : {'/', '\0', '\n', ' ', '%', '\\'}) {
    require(!is_id(std::string{text} + c), "nothing hides behind an id");
    require(!is_id(c + std::string{text}), "nothing hides before an id");
  }
  for (std::size_t size = 1; size < text.size(); ++size)
    require(is_id(text.substr(0, size)), "the beginning of an id is an id");
}

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  surveyd::fuzz::check(surveyd::fuzz::text_of(data, size));
  return 0;
}
