#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.hpp"
#include "cli/helper.hpp"
#include "host/helper_process.hpp"
#include "host/standard_streams.hpp"

int main(int argc, char** argv) {
  using namespace surveyd::cli;
  surveyd::fill_standard_streams();
  try {
    if (argc > 1 && argv[1] == std::string_view{surveyd::helper_command})
      return helper(std::vector<std::string>(argv + 2, argv + argc));
    surveyd::remember_own_binary();
    const auto parsed = parse_settings(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) return *status;
    const Settings& settings = std::get<Settings>(parsed);
    switch (settings.command) {
      case Command::serve:
        return serve(settings);
      case Command::survey:
        return survey(settings);
      case Command::explain:
        return explain(settings);
      case Command::check:
        return check(settings);
    }
  } catch (const std::exception& failure) {
    std::cerr << "surveyd: " << failure.what() << "\n";
  }
  return 1;
}
