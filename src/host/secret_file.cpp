#include "host/secret_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/unique_fd.hpp"

namespace surveyd {
namespace {

constexpr std::size_t least = 16;
constexpr std::size_t most = 1024;

Error wrong(int error_number, const std::string& path, const char* why) {
  Error error = os_error(error_number, "read", path);
  error.detail = why;
  return error;
}

}  // namespace

Result<std::string> read_secret(const std::string& path) {
  // Not to wait for whoever may be at the other end of a pipe.
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (!file) return os_error(errno, "open", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return os_error(errno, "fstat", path);
  if (!S_ISREG(status.st_mode)) return wrong(EINVAL, path, "it is not a regular file");
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return wrong(EACCES, path, "it belongs neither to root nor to the user that surveyd runs as");
  if ((status.st_mode & 0077) != 0)
    return wrong(EACCES, path, "others have rights to it: its mode has to be 0600");
  std::array<char, most + 2> bytes;
  const ssize_t size = ::read(file.get(), bytes.data(), bytes.size());
  if (size < 0) return os_error(errno, "read", path);
  std::string secret{bytes.data(), static_cast<std::size_t>(size)};
  if (secret.ends_with('\n')) secret.pop_back();
  const bool is_line =
      std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!is_line || secret.size() < least || secret.size() > most)
    return wrong(EINVAL, path, "it is not one line of 16 to 1024 visible characters");
  return secret;
}

}  // namespace surveyd
