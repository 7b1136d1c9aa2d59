#include "host/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace surveyd {

void fill_standard_streams() {
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) {
    // The lowest number that is free, so this one; programs that are run inherit it.
    if (::fcntl(number, F_GETFD) < 0) (void)!::open("/dev/null", O_RDONLY);
  }
}

}  // namespace surveyd
