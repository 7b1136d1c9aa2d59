// write_then_exit PORT TRIES NUMBER REQUEST REQUEST: a process for each try, which connects, writes
// one of the requests in turn and ends. NUMBER tells apart who runs at the same time.

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address(unsigned host, unsigned port) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};
  result.sin_addr.s_addr = htonl(host);
  return result;
}

static void attempt(unsigned port, unsigned source, const char* request) {
  // What closes first keeps its port for a minute; there are enough addresses.
  const struct sockaddr_in from = address(source, 0);
  const struct sockaddr_in to = address(INADDR_LOOPBACK, port);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(client, (const struct sockaddr*)&from, sizeof from) != 0 ||
      connect(client, (const struct sockaddr*)&to, sizeof to) != 0)
    _exit(1);
  const size_t size = strlen(request);
  _exit(write(client, request, size) == (ssize_t)size ? 0 : 1);
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const unsigned number = (unsigned)atoi(argv[3]);
  for (int i = 0; i < atoi(argv[2]); ++i) {
    const unsigned source = 0x7f000001 + ((1 + number) << 16) + ((unsigned)i % 200 << 8);
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) attempt((unsigned)atoi(argv[1]), source, argv[4 + i % 2]);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) return 1;
  }
  return 0;
}
