// bare_loop FILE: the least that a server can do. Binds a port of 127.0.0.1, prints it, reads, and
// writes the bytes of FILE for every request; parses nothing but where a head ends.

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

std::size_t count_heads(std::string_view text) {
  std::size_t heads = 0;
  for (auto at = text.find("\r\n\r\n"); at != std::string_view::npos;
       at = text.find("\r\n\r\n", at + 4))
    ++heads;
  return heads;
}

void watch(int poll, int socket) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = socket;
  ::epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
}

}  // namespace

int main(int, char** argv) {
  std::ifstream file{argv[1], std::ios::binary};
  const std::string answer{std::istreambuf_iterator<char>{file}, {}};
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener, 1024);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  const int poll = ::epoll_create1(0);
  watch(poll, listener);
  std::array<epoll_event, 128> events;
  std::array<char, 16384> input;
  while (true) {
    const int ready = ::epoll_wait(poll, events.data(), events.size(), -1);
    for (int i = 0; i < ready; ++i) {
      const int socket = events[static_cast<std::size_t>(i)].data.fd;
      if (socket == listener) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (client >= 0) watch(poll, client);
        continue;
      }
      const ssize_t count = ::recv(socket, input.data(), input.size(), 0);
      if (count <= 0) {
        ::close(socket);
        continue;
      }
      std::size_t heads = count_heads({input.data(), static_cast<std::size_t>(count)});
      if (heads == 1) {
        (void)!::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
        continue;
      }
      std::string all;
      for (; heads > 0; --heads) all += answer;
      (void)!::send(socket, all.data(), all.size(), MSG_NOSIGNAL);
    }
  }
}
