#include "host/capability_name.hpp"

#include <algorithm>
#include <cctype>
#include <memory>

#include <sys/capability.h>

namespace surveyd {

std::string capability_name(int capability) {
  const std::unique_ptr<char, int (*)(void*)> text{::cap_to_name(capability), ::cap_free};
  if (!text) return std::to_string(capability);
  std::string name{text.get()};
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

}  // namespace surveyd
