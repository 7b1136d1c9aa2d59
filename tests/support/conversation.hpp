#pragma once

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/unique_fd.hpp"
#include "http/connection.hpp"
#include "support/fixture_host.hpp"

namespace surveyd::test {

inline http::Listener loopback_listener() {
  return {http::Transport::loopback,
          "http://127.0.0.1:9847",
          {"127.0.0.1:9847", "localhost:9847", "[::1]:9847"}};
}

/// One connection of the server, with the test at its other end, both in this thread: what is sent
/// has been served when `say` returns.
class Conversation {
 public:
  explicit Conversation(http::Limits limits = {}, http::Listener listener = loopback_listener(),
                        http::Peer peer = {})
      : surveyor_{context_.get_executor(),
                  host_,
                  {},
                  {},
                  [](const Survey&) { return Documents{}; },
                  [this](const Surveyor::Published& snapshot) { service.publish(snapshot); }} {
    service.limits = limits;
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
      throw std::runtime_error("socketpair");
    client_ = UniqueFd{ends[1]};
    http::Stream socket{http::Socket{context_, {AF_UNIX, 0}, ends[0]}};
    connection_ = std::make_unique<http::Connection>(
        service, std::move(socket), std::make_shared<const http::Listener>(std::move(listener)),
        std::make_shared<const http::Peer>(std::move(peer)));
    http::Task<> task = connection_->serve();
    boost::asio::co_spawn(context_, std::move(task),
                          [this](const std::exception_ptr&) { served_ = true; });
    settle();
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation() {
    // Stopped first: nothing may be posted to a context that is gone.
    (void)surveyor_.stop();
    (void)worker_.stop(std::chrono::seconds{10});
    connection_->abort();
    settle();
  }

  /// Sends, and gives all that came back until the server waits again.
  std::string say(std::string_view bytes) {
    send(bytes);
    return hear();
  }

  /// As `say`, but every byte arrives alone.
  std::string say_byte_by_byte(std::string_view bytes) {
    std::string answer;
    for (std::size_t i = 0; i < bytes.size(); ++i) answer += say(bytes.substr(i, 1));
    return answer;
  }

  /// Gives what came, without waiting.
  std::string hear() {
    std::string answer;
    for (std::size_t before = 1; before != answer.size();) {
      before = answer.size();
      settle();
      take(answer);
      if (answer.empty()) break;
    }
    return answer;
  }

  /// As `say`, for an answer that a worker has a part in.
  std::string say_and_wait(std::string_view bytes) {
    std::string answer = say(bytes);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (answer.empty() && !served_ && std::chrono::steady_clock::now() < deadline) {
      context_.run_one_for(std::chrono::milliseconds{5});
      answer = hear();
    }
    return answer;
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return;  // the server may have closed already
      bytes.remove_prefix(static_cast<std::size_t>(size));
      settle();
    }
  }

  void finish_sending() {
    ::shutdown(client_.get(), SHUT_WR);
    settle();
  }

  /// Lets the server do what it can without anything new.
  void settle() {
    while (context_.poll() > 0) {
    }
  }

  /// Pretends that this much time has passed.
  void pass(std::chrono::milliseconds time) {
    connection_->expire(http::Connection::Clock::now() + time);
    settle();
  }

  void drain() {
    connection_->drain();
    settle();
  }

  /// Until the server has noticed what it looks for from time to time.
  void wait_until_closed() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!served_ && std::chrono::steady_clock::now() < deadline)
      context_.run_one_for(std::chrono::milliseconds{5});
  }

  /// The server's end is closed: nothing more will come.
  [[nodiscard]] bool closed() const { return served_; }
  /// What the server has sent ends here: it has shut its side down.
  [[nodiscard]] bool finished() {
    char byte = 0;
    return ::recv(client_.get(), &byte, 1, MSG_PEEK) == 0;
  }

 private:
  void take(std::string& answer) {
    std::array<char, 16 * 1024> bytes;
    for (ssize_t size = 0; (size = ::recv(client_.get(), bytes.data(), bytes.size(), 0)) > 0;)
      answer.append(bytes.data(), static_cast<std::size_t>(size));
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<http::Executor> guard_{context_.get_executor()};
  FixtureHost host_;
  metrics::Counters counters_;
  CgroupTree tree_{host_, {}};
  http::Access access_{tree_, {}};
  run::Worker worker_{"cgroups"};
  CgroupTree readable_tree_{host_, {}};
  run::Worker reader_{"cgroups-read"};
  http::Access readers_{readable_tree_, {}};
  run::Reaper reaper_{context_.get_executor(), tree_, worker_};
  Surveyor surveyor_;
  UniqueFd client_;
  std::unique_ptr<http::Connection> connection_;
  bool served_ = false;

 public:
  http::Service service{surveyor_,
                        {tree_, worker_, readable_tree_, reader_, readers_, reaper_},
                        access_,
                        counters_,
                        {}};
};

/// An answer without its Date, the one line that nobody can foresee.
inline std::string without_date(std::string answer) {
  for (auto at = answer.find("Date: "); at != std::string::npos; at = answer.find("Date: ", at))
    answer.erase(at, answer.find("\r\n", at) + 2 - at);
  return answer;
}

/// The statuses of the answers in `text`, which follow one another: "200 404".
inline std::string statuses(const std::string& text) {
  static const std::regex line{R"(HTTP/1\.1 (\d{3}) )"};
  std::string result;
  for (std::sregex_iterator one{text.begin(), text.end(), line}; one != std::sregex_iterator{};
       ++one)
    result += (result.empty() ? "" : " ") + (*one)[1].str();
  return result;
}

}  // namespace surveyd::test
