#include "host/program.hpp"

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace surveyd {
namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_error(errno, "pipe2");
  return Pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

// Becomes the program; returns the errno when that fails.
int become(const std::vector<std::string>& words, const std::string& directory,
           const UniqueFd& output) {
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) return errno;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const UniqueFd nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  // There is no /dev/null in a bare chroot.
  if (!nothing || ::dup2(nothing.get(), STDIN_FILENO) < 0) ::close(STDIN_FILENO);
  if (::dup2(output.get(), STDOUT_FILENO) < 0 || ::dup2(output.get(), STDERR_FILENO) < 0)
    return errno;
  ::execv(arguments.front(), arguments.data());
  return errno;
}

// The one that says why it gave up; before it come warnings.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string{text.substr(text.rfind('\n') + 1)};
}

}  // namespace

Result<RunningProgram> RunningProgram::start(const std::vector<std::string>& words,
                                             const std::string& directory) {
  auto output = make_pipe();
  if (!output) return output.error();
  auto failure = make_pipe();  // closed by a successful exec
  if (!failure) return failure.error();
  auto child = ChildProcess::fork();
  if (!child) return child.error();
  if (child->pid() == 0) {
    const int error_number = become(words, directory, output->write);
    (void)!::write(failure->write.get(), &error_number, sizeof error_number);
    ::_exit(127);
  }
  output->write = UniqueFd{};
  failure->write = UniqueFd{};
  int error_number = 0;
  if (::read(failure->read.get(), &error_number, sizeof error_number) == sizeof error_number)
    return os_error(error_number, "execve", words.front());
  (void)::fcntl(output->read.get(), F_SETFL, O_NONBLOCK);
  return RunningProgram{std::move(*child), std::move(output->read)};
}

bool RunningProgram::has_ended_within(std::chrono::milliseconds limit) {
  const auto status = child_.wait(limit);
  if (status) status_ = *status;
  return status.has_value();
}

const std::string& RunningProgram::output() {
  constexpr std::size_t enough = 4096;
  std::array<char, 1024> chunk;
  while (text_.size() < enough) {
    const ssize_t count = ::read(pipe_.get(), chunk.data(), chunk.size());
    if (count <= 0) break;
    text_.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return text_;
}

Error error_of(RunningProgram& program, Fault fault, const std::string& path) {
  Error error{};
  error.code = fault;
  error.op = "run";
  error.path = path;
  error.detail = last_line(program.output());
  return error;
}

Result<std::string> run_program(const std::vector<std::string>& words,
                                std::chrono::milliseconds limit) {
  auto program = RunningProgram::start(words);
  if (!program) return program.error();
  if (!program->has_ended_within(limit)) return error_of(*program, Fault::timed_out, words.front());
  if (!program->succeeded()) return error_of(*program, Fault::program_failed, words.front());
  return program->output();
}

}  // namespace surveyd
