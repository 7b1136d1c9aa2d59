#include "probes/sysctl.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "parse/words.hpp"
#include "probes/answer.hpp"

namespace surveyd::probes {
namespace {

std::string path_of(std::string name) {
  std::replace(name.begin(), name.end(), '.', '/');
  return "/proc/sys/" + name;
}

}  // namespace

Evidence Sysctl::evidence() const {
  if (error) return failed(path_of(name), *error);
  return observed(path_of(name), value ? std::to_string(*value) : "not a number");
}

std::string Sysctl::doubt() const {
  return name + (error ? " cannot be read: " + describe(*error) : " is not a number: masked");
}

ReasonCode Sysctl::code() const {
  const bool ran_out = error && code_of(*error) == ReasonCode::out_of_resources;
  return ran_out ? ReasonCode::out_of_resources : ReasonCode::unreadable;
}

Sysctl read_sysctl(const Host& host, const std::string& name) {
  Sysctl setting{.name = name, .value = {}, .error = {}};
  const auto text = host.read(path_of(name));
  if (!text) {
    setting.error = text.error();
    return setting;
  }
  const std::string_view digits = parse::trimmed(*text);
  long long value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error == std::errc{} && stop == end) setting.value = value;
  return setting;
}

bool is_absent(const Host& host, const Sysctl& setting, const char* neighbour) {
  return setting.error && errno_name(setting.error->code) == "ENOENT" &&
         host.stat(neighbour).has_value();
}

Remedy change_sysctl(const std::string& name, long long value) {
  const std::string number = std::to_string(value);
  const std::string file = "/etc/sysctl.d/90-" + name + ".conf";
  return {"Set " + name + " to " + number + ", now and at every boot.",
          "sysctl -w " + name + "=" + number + " && mkdir -p /etc/sysctl.d && echo '" + name +
              " = " + number + "' > " + file};
}

}  // namespace surveyd::probes
