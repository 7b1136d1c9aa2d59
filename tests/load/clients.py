"""Clients that no server wants."""

import contextlib
import multiprocessing
import os
import select
import socket
import struct
import time

from users import STRANGER
from wire import Connection

SLOW_PACE = 1.0
RESET = struct.pack("ii", 1, 0)


class SlowClient:
    """One slow connection of a swarm: says what to send next, and when it has ended."""

    def __init__(self, address, kind, source):
        self.kind = kind
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if kind == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.bind((source, 0))
        self.socket.connect_ex(address)
        host = f"{address[0]}:{address[1]}"
        self._host = host
        self.begun = None
        self.answered = None  # the first byte of an answer has come
        self.ended = None
        self.answer = b""
        self._head_sent = False

    def start(self):
        """The first bytes, once connected."""
        self.begun = time.monotonic()
        if self.kind == "read":
            request = f"GET /findings HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
            self._send(request * 6)
        else:
            method = "GET /healthz" if self.kind == "header" else "POST /survey"
            length = "" if self.kind == "header" else "Content-Length: 16000\r\n"
            self._send(f"{method} HTTP/1.1\r\nHost: {self._host}\r\n{length}X-Slow: ".encode())

    def tick(self, now):
        """One more morsel."""
        if self.kind == "read":
            with contextlib.suppress(OSError):
                self.socket.recv(1)
        elif self.kind == "body" and not self._head_sent and now - self.begun > 8.5:
            # As late as the deadline of the head allows: the body's begins there.
            self._head_sent = True
            self._send(b"\r\n\r\n")
        else:
            self._send(b"a")

    def _send(self, data):
        with contextlib.suppress(OSError):
            self.socket.send(data)


def run_swarm(address, kind, count, seconds):
    """Connects `count` slow clients and lets them be slow until all are gone or `seconds` are over.
    Gives the clients."""
    poll = select.epoll()
    clients = {}
    for number in range(count):
        # More than one address: more ports than one has.
        client = SlowClient(address, kind, f"127.0.0.{2 + number % 4}")
        clients[client.socket.fileno()] = client
        poll.register(client.socket.fileno(), select.EPOLLOUT)
        if number % 200 == 199:
            _take_events(poll, clients, 0.01)
    begun = next_tick = time.monotonic()
    while time.monotonic() - begun < seconds and any(c.ended is None for c in clients.values()):
        _take_events(poll, clients, 0.05)
        now = time.monotonic()
        if now < next_tick:
            continue
        next_tick = now + SLOW_PACE
        for client in clients.values():
            if client.begun is not None and client.ended is None and now - client.begun > 0.5:
                client.tick(now)
    poll.close()
    for client in clients.values():
        client.socket.close()
    return list(clients.values())


def _take_events(poll, clients, timeout):
    for number, events in poll.poll(timeout):
        client = clients[number]
        if client.begun is None and events & select.EPOLLOUT:
            client.start()
            poll.modify(number, select.EPOLLIN)
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            _end(poll, client)
        elif events & select.EPOLLIN:
            client.answered = client.answered or time.monotonic()
            if client.kind == "read":
                # From here on it is told of nothing but the end.
                poll.modify(number, 0)
                continue
            try:
                data = client.socket.recv(4096)
            except OSError:
                data = b""
            client.answer += data
            if not data:
                _end(poll, client)


def _end(poll, client):
    client.ended = time.monotonic()
    poll.unregister(client.socket.fileno())


def by_strangers(way, address, requests, tries):
    """`tries` of `way` by two processes of a user whom nobody knows; gives how many of them failed."""
    workers = [
        multiprocessing.Process(target=_as_stranger,
                                args=(way, address, requests, tries // 2, number))
        for number in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(worker.exitcode != 0 for worker in workers)


def _as_stranger(way, address, requests, tries, number):
    os.setgroups([])
    os.setresgid(STRANGER, STRANGER, STRANGER)
    os.setresuid(STRANGER, STRANGER, STRANGER)
    way(address, requests, tries, number)


def write_then_close(address, requests, tries, number):
    _write_and(address, requests, tries, number, lambda client: None)


def write_then_reset(address, requests, tries, number):
    def reset(client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    _write_and(address, requests, tries, number, reset)


def write_then_exit(address, requests, tries, number):
    """A process for each try: in C, as a fork of this one costs more than all the rest."""
    os.execv(
        os.environ["WRITE_THEN_EXIT"],
        ["write_then_exit", str(address[1]), str(tries), str(number), *requests],
    )


def _write_and(address, requests, tries, number, before_close):
    for one in range(tries):
        client = _connected(address, one, number)
        client.send(requests[one % 2].encode())
        before_close(client)
        client.close()


def _connected(address, one, number):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # What closes first keeps its port for a minute; there are enough addresses.
    client.bind((f"127.0.{1 + number}.{1 + one % 200}", 0))
    client.connect(address)
    return client


def flood(address, begin, chunk, total):
    """Sends `total` bytes of `chunk` after `begin` without looking up, as far as the server lets it.
    Gives (bytes sent, what was answered)."""
    with Connection(address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = 0
        try:
            client.send(begin(client))
            while sent < total:
                client.send(chunk)
                sent += len(chunk)
        except OSError:
            pass  # what was answered before is still there to be read
        return sent, client.rest()
