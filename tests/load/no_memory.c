// Preloaded: at the call of accept(2) with the number $REFUSE_AT, which fails, and after the one with
// the number $STARVE_AFTER, which does not, its thread gets no memory until it waits for events again.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
static __thread int refusals;
static int number(const char* name) {
  const char* text = getenv(name);
  return text ? atoi(text) : 0;
}
void* __libc_malloc(size_t size);
void* malloc(size_t size) {
  if (refusals == 0) return __libc_malloc(size);
  --refusals;
  errno = ENOMEM;
  return NULL;
}
int accept(int listener, struct sockaddr* address, socklen_t* length) {
  static int (*real)(int, struct sockaddr*, socklen_t*);
  static int calls;
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "accept");
  const int refused = ++calls == number("REFUSE_AT");
  if (refused || calls == number("STARVE_AFTER")) refusals = 100;
  errno = ENOMEM;
  return refused ? -1 : real(listener, address, length);
}
int epoll_wait(int set, struct epoll_event* events, int most, int timeout) {
  static int (*real)(int, struct epoll_event*, int, int);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "epoll_wait");
  refusals = 0;
  return real(set, events, most, timeout);
}
