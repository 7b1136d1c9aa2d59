// Preloaded: when the accept(2) with the number $REFUSE_AT fails, by this, and when the connection with
// the number $STARVE_AFTER has been accepted, that thread gets no memory until it waits for events.

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
  static int calls, connections;
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "accept");
  if (++calls == number("REFUSE_AT")) {
    refusals = 100;
    errno = ENOMEM;
    return -1;
  }
  int result = real(listener, address, length);
  if (result >= 0 && ++connections == number("STARVE_AFTER")) refusals = 100;
  return result;
}
int epoll_wait(int set, struct epoll_event* events, int most, int timeout) {
  static int (*real)(int, struct epoll_event*, int, int);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "epoll_wait");
  refusals = 0;
  return real(set, events, most, timeout);
}
