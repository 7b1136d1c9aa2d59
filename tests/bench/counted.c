/* Preloaded: counts what is allocated and what is called on connections, in the file that COUNTS
   names (two times 8 bytes, mapped). Unlike strace it slows nothing down. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct counts {
  _Atomic unsigned long allocations;
  _Atomic unsigned long calls;
};
static struct counts unseen;
static struct counts* counts = &unseen;

#define REAL(function)                                                              \
  static __typeof__(function)* real;                                                \
  if (!real) real = (__typeof__(function)*)dlsym(RTLD_NEXT, #function)
#define COUNT(what, function, ...)                                                  \
  REAL(function);                                                                   \
  atomic_fetch_add_explicit(&counts->what, 1, memory_order_relaxed);                \
  return real(__VA_ARGS__)

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("COUNTS");
  const int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* mapped = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) counts = mapped;
  close(file);
}

void* malloc(size_t size) {
  COUNT(allocations, malloc, size);
}

void* realloc(void* old, size_t size) {
  COUNT(allocations, realloc, old, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  COUNT(allocations, aligned_alloc, alignment, size);
}

ssize_t recv(int socket, void* buffer, size_t size, int flags) {
  COUNT(calls, recv, socket, buffer, size, flags);
}

ssize_t recvmsg(int socket, struct msghdr* message, int flags) {
  COUNT(calls, recvmsg, socket, message, flags);
}

ssize_t send(int socket, const void* buffer, size_t size, int flags) {
  COUNT(calls, send, socket, buffer, size, flags);
}

ssize_t sendmsg(int socket, const struct msghdr* message, int flags) {
  COUNT(calls, sendmsg, socket, message, flags);
}

int epoll_wait(int epoll, struct epoll_event* events, int size, int timeout) {
  COUNT(calls, epoll_wait, epoll, events, size, timeout);
}

int epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event* event) {
  COUNT(calls, epoll_ctl, epoll, operation, descriptor, event);
}

int timerfd_settime(int timer, int flags, const struct itimerspec* value, struct itimerspec* old) {
  COUNT(calls, timerfd_settime, timer, flags, value, old);
}
