#include "host/systemd_unit.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <systemd/sd-bus.h>
#include <unistd.h>

namespace surveyd {
namespace {

constexpr const char* systemd = "org.freedesktop.systemd1";

template <class T, T* (*release)(T*)>
struct Released {
  void operator()(T* held) const { release(held); }
};
using Bus = std::unique_ptr<sd_bus, Released<sd_bus, sd_bus_flush_close_unref>>;
using Message = std::unique_ptr<sd_bus_message, Released<sd_bus_message, sd_bus_message_unref>>;

struct BusError {
  sd_bus_error value{};  // SD_BUS_ERROR_NULL is C
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&value); }
};

std::string full_name(const std::string& unit) {
  return unit.ends_with(".service") ? unit : unit + ".service";
}

Error no_process(const std::string& unit, std::string detail) {
  Error error{.code = Fault::no_such_process, .op = "GetUnit", .path = unit};
  error.detail = std::move(detail);
  return error;
}

Error failure(int negative, const char* op, const std::string& unit, const BusError& error) {
  if (sd_bus_error_has_name(&error.value, "org.freedesktop.systemd1.NoSuchUnit") != 0)
    return no_process(unit, "systemd has no such unit loaded");
  if (negative == -ETIMEDOUT) return Error{.code = Fault::timed_out, .op = op, .path = unit};
  Error result = os_error(-negative, op, unit);
  result.detail = error.value.message != nullptr ? error.value.message : "systemd cannot be asked";
  return result;
}

Result<Bus> open_bus() {
  sd_bus* bus = nullptr;
  const int opened = ::geteuid() == 0 ? sd_bus_open_system(&bus) : sd_bus_open_user(&bus);
  if (opened < 0) return failure(opened, "sd_bus_open", "", {});
  return Bus{bus};
}

}  // namespace

bool is_service_name(const std::string& name) {
  constexpr std::size_t longest = 255;
  const bool good = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view{":_.\\-@"}.find(static_cast<char>(c)) != std::string_view::npos;
  });
  return good && !name.empty() && full_name(name).size() <= longest && name.front() != '.';
}

Result<int> main_pid_of_unit(const std::string& unit, std::chrono::milliseconds deadline) {
  const std::string name = full_name(unit);
  auto bus = open_bus();
  if (!bus) return bus.error();
  (void)sd_bus_set_method_call_timeout(
      bus->get(), static_cast<std::uint64_t>(std::chrono::microseconds{deadline}.count()));

  BusError error;
  sd_bus_message* answer = nullptr;
  int status = sd_bus_call_method(bus->get(), systemd, "/org/freedesktop/systemd1",
                                  "org.freedesktop.systemd1.Manager", "GetUnit", &error.value,
                                  &answer, "s", name.c_str());
  const Message reply{answer};
  if (status < 0) return failure(status, "GetUnit", name, error);
  const char* path = nullptr;
  status = sd_bus_message_read(reply.get(), "o", &path);
  if (status < 0) return failure(status, "GetUnit", name, error);

  std::uint32_t pid = 0;
  BusError property_error;
  status =
      sd_bus_get_property_trivial(bus->get(), systemd, path, "org.freedesktop.systemd1.Service",
                                  "MainPID", &property_error.value, 'u', &pid);
  if (status < 0) return failure(status, "MainPID", name, property_error);
  if (pid == 0) return no_process(name, "the unit has no main process now");
  return static_cast<int>(pid);
}

}  // namespace surveyd
