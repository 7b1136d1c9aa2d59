#include "http/untaken.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/unique_fd.hpp"

namespace surveyd::http {
namespace {

using std::chrono::seconds;

constexpr seconds patience{15};

struct Ends {
  UniqueFd ours;
  UniqueFd peers;
};

Ends unix_pair() {
  std::array<int, 2> pair{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  return {UniqueFd{pair[0]}, UniqueFd{pair[1]}};
}

// What the peer has not read of TCP is taken once its kernel has it: little is, of a small buffer.
Ends tcp_pair() {
  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM, 0)};
  const int small = 4096;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), any, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), any, &size), 0);
  Ends ends{UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)}, {}};
  EXPECT_EQ(::connect(ends.ours.get(), any, size), 0);
  ends.peers = UniqueFd{::accept(listener.get(), nullptr, nullptr)};
  return ends;
}

class UntakenTest : public testing::TestWithParam<Ends (*)()> {
 protected:
  // As much as goes out.
  void write_all() {
    const std::string some(16 * 1024, 'x');
    while (true) {
      const ssize_t count =
          ::send(ends_.ours.get(), some.data(), some.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) return;
      untaken_.wrote(static_cast<std::size_t>(count));
    }
  }
  void take_all() {
    std::string buffer(64 * 1024, '\0');
    while (waits_for_peer(ends_.ours.get()))
      (void)::recv(ends_.peers.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  }
  bool too_long_at(seconds at) {
    return untaken_.takes_too_long(ends_.ours.get(), Untaken::Clock::time_point{at}, patience);
  }

  Ends ends_ = GetParam()();
  Untaken untaken_;
};

TEST_P(UntakenTest, IsSettledBeforeAnythingIsWritten) {
  EXPECT_TRUE(untaken_.is_settled());
  EXPECT_FALSE(too_long_at(seconds{0}));
  EXPECT_FALSE(waits_for_peer(ends_.ours.get()));
}

TEST_P(UntakenTest, WaitsForAPeerThatTakesNothingAsLongAsItMay) {
  write_all();
  EXPECT_TRUE(waits_for_peer(ends_.ours.get()));
  EXPECT_FALSE(too_long_at(seconds{100}));
  EXPECT_FALSE(untaken_.is_settled());
  EXPECT_FALSE(too_long_at(seconds{114}));
  EXPECT_TRUE(too_long_at(seconds{115}));
}

TEST_P(UntakenTest, IsSettledOnceEverythingIsTaken) {
  write_all();
  EXPECT_FALSE(too_long_at(seconds{100}));
  take_all();
  EXPECT_FALSE(too_long_at(seconds{115}));
  EXPECT_TRUE(untaken_.is_settled());
  untaken_.wrote(1);
  EXPECT_FALSE(untaken_.is_settled());
}

TEST_P(UntakenTest, IsNotPutOffByAPeerThatTakesALittle) {
  write_all();
  EXPECT_FALSE(too_long_at(seconds{100}));
  for (int second = 101; second < 115; ++second) {
    std::string some(1000, '\0');
    ASSERT_GT(::recv(ends_.peers.get(), some.data(), some.size(), 0), 0);
    EXPECT_FALSE(too_long_at(seconds{second}));
  }
  EXPECT_TRUE(too_long_at(seconds{115}));
}

TEST_P(UntakenTest, BeginsAgainWithTheNextAnswer) {
  write_all();
  EXPECT_FALSE(too_long_at(seconds{100}));
  take_all();
  write_all();
  EXPECT_FALSE(too_long_at(seconds{200}));
  EXPECT_FALSE(too_long_at(seconds{214}));
  EXPECT_TRUE(too_long_at(seconds{215}));
}

TEST_P(UntakenTest, DoesNotWaitForAPeerThatIsGone) {
  write_all();
  // With input that it has not read a close is a reset, which takes a moment to arrive.
  ends_.peers = UniqueFd{};
  pollfd reset{.fd = ends_.ours.get(), .events = 0, .revents = 0};
  ASSERT_EQ(::poll(&reset, 1, 10'000), 1);
  EXPECT_FALSE(waits_for_peer(ends_.ours.get()));
}

INSTANTIATE_TEST_SUITE_P(Sockets, UntakenTest, testing::Values(unix_pair, tcp_pair),
                         [](const auto& named) { return named.index == 0 ? "unix" : "tcp"; });

// What is written after the look has a deadline of its own: asking again buys no time.
TEST(Untaken, IsNotHelpedByMoreAnswers) {
  const Ends ends = unix_pair();
  Untaken untaken;
  const auto write = [&] {
    ASSERT_EQ(::send(ends.ours.get(), "answer", 6, MSG_NOSIGNAL), 6);
    untaken.wrote(6);
  };
  const auto too_long_at = [&](seconds at) {
    return untaken.takes_too_long(ends.ours.get(), Untaken::Clock::time_point{at}, patience);
  };
  write();
  EXPECT_FALSE(too_long_at(seconds{100}));
  for (int second = 101; second < 115; ++second) {
    write();
    EXPECT_FALSE(too_long_at(seconds{second}));
  }
  EXPECT_TRUE(too_long_at(seconds{115}));
}

}  // namespace
}  // namespace surveyd::http
