#include <exception>
#include <iostream>

#include "cli/commands.hpp"

int main(int argc, char** argv) {
  using namespace surveyd::cli;
  try {
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
