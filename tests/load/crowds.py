"""Too many clients, and such as cost too much: slow ones, floods, no descriptors left."""

import contextlib
import resource
import socket
import time

import clients
from daemon import run
from experiment import NOBODYS_HURRY, allow_descriptors
from measure import MEBIBYTE, Prober, count_of, cpu_seconds, forget_peak, pause, peak, resident
from wire import Connection


def slow(bench, report):
    """4,000 slow clients of each kind hold nobody up, and all are gone in time."""
    allow_descriptors()
    count = min(4000, bench.times(4000))
    for kind, deadline in (("header", 12), ("body", 15), ("read", 15)):
        with bench.daemon(*NOBODYS_HURRY) as daemon:
            pid = daemon.pid
            pause(2)  # what is made ready after the start is not theirs
            base = resident(pid)
            forget_peak(pid)
            with Prober(bench.socket, fresh=True) as prober:
                swarm = clients.run_swarm(daemon.address, kind, count, deadline + 5)
            report.exactly(f"{kind}: connected", sum(c.begun is not None for c in swarm), count)
            # One that does not read learns of the end by a reset.
            lasted = seconds_from(swarm, "begun")
            if kind == "read":
                # The time to take an answer begins with the answer.
                taking = seconds_from(swarm, "answered")
                report.at_most(f"{kind}: longest after the first byte of its answer, seconds",
                               max(taking), deadline)
                report.note(f"{kind}: shortest after it, seconds", min(taking))
                report.note(f"{kind}: longest after it connected, seconds", max(lasted))
                report.note(f"{kind}: later than {deadline} s after they connected",
                            sum(seconds > deadline for seconds in lasted))
            else:
                report.at_most(f"{kind}: longest, seconds", max(lasted), deadline)
                report.note(f"{kind}: shortest, seconds", min(lasted))
                told = sum(b" 408 " in client.answer for client in swarm)
                report.note(f"{kind}: told so with 408", told)
            report.at_most(f"{kind}: GET on the Unix socket, p99 ms", prober.p99_ms, 50)
            report.note(f"{kind}: GETs", len(prober.latencies))
            report.exactly(f"{kind}: GETs that failed", len(prober.failures), 0)
            report.note(f"{kind}: memory at most, MiB more", (peak(pid) - base) / MEBIBYTE)
            pause(1)
            report.note(f"{kind}: memory afterwards, MiB more", (resident(pid) - base) / MEBIBYTE)


def seconds_from(swarm, since):
    """From `since` of each client to its end; one that has none of them lasts for ever."""
    return [
        client.ended - getattr(client, since)
        if client.ended and getattr(client, since)
        else float("inf")
        for client in swarm
    ]


def has_cap_setting():
    return "--max-connections" in run("--help").stdout


def crowd(bench, report):
    """10,000 connections, what they cost, and what the next one hears."""
    allow_descriptors()
    count = bench.times(10_000)
    arguments = ["--max-connections", str(count + 64)] if has_cap_setting() else []
    if not arguments:
        count = min(count, bench.cap - 64)
    with bench.daemon(*NOBODYS_HURRY, *arguments) as daemon:
        pid = daemon.pid
        with daemon.connect() as connection:  # what the first request loads is no cost of many
            connection.request("GET", "/healthz")
        pause(3)  # until the start is over
        base = resident(pid)
        connections, begun = [], time.monotonic()
        for number in range(count):
            connections.append(from_address(daemon.address, f"127.0.0.{2 + number % 4}"))
        host = f"Host: {daemon.address[0]}:{daemon.address[1]}\r\n"
        # As large as is allowed.
        large = f"GET /healthz HTTP/1.1\r\n{host}X: {'x' * 7000}\r\nContent-Length: 16384\r\n\r\n"
        for connection in connections:
            connection.send(large.encode() + b"x" * 16384)
        good = sum(connection.receive().status == 200 for connection in connections)
        report.note("seconds to connect and to be answered once", time.monotonic() - begun)
        report.exactly("connections that were served", good, count)
        pause(3)
        report.at_most("memory with all of them, MiB more", (resident(pid) - base) / MEBIBYTE, 160)
        turned_away = []
        for _ in range(100):
            asked = time.perf_counter()
            with contextlib.suppress(OSError), daemon.connect() as connection:
                answer = connection.receive()
                turned_away.append((answer.status, time.perf_counter() - asked))
        report.exactly("beyond the cap, 503", sum(status == 503 for status, _ in turned_away), 100)
        worst = max(seconds for _, seconds in turned_away)
        report.at_most("beyond the cap, slowest answer in ms", worst * 1000, 100)
        for connection in connections:
            connection.close()
        closed = time.monotonic()
        while resident(pid) > base * 1.05 and time.monotonic() - closed < 10:
            pause(0.1)
        report.note("seconds until memory is back", time.monotonic() - closed)
        report.at_most("memory afterwards, of the baseline", resident(pid) / base, 1.05)
        report.exactly("served afterwards", daemon.request("GET", "/healthz").status, 200)


def from_address(address, source):
    """A connection from another loopback address: one has not enough ports."""
    connection = Connection.__new__(Connection)
    connection.address, connection.was_reset, connection._buffer = address, False, b""
    connection.socket = socket.create_connection(address, 20, (source, 0))
    return connection


def descriptors(bench, report):
    """A minute without descriptors costs next to nothing and is over when it is over."""
    seconds = bench.times(60)
    with bench.daemon(*NOBODYS_HURRY) as daemon:
        pid = daemon.pid
        # Not before it starts: its cap of connections keeps within what it finds then.
        few = count_of(pid, "fd") + 20
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        lines, cpu, begun = len(daemon.log), cpu_seconds(pid), time.monotonic()
        crowd, told = [], 0
        while time.monotonic() - begun < seconds:
            while len(crowd) < 200:
                crowd.append(daemon.connect())
            pause(0.1)
            gone = [client for client in crowd if client.is_readable(0)]
            told += len(gone)
            for client in gone:
                client.close()
            crowd = [client for client in crowd if client not in gone]
        passed = time.monotonic() - begun
        report.at_most("of a core", (cpu_seconds(pid) - cpu) / passed, 0.05)
        report.at_most("log lines a second", (len(daemon.log) - lines) / passed, 2)
        report.at_least("log lines about it", sum("cannot accept" in x for x in daemon.log), 1)
        report.note("clients told with 503", told)
        for client in crowd:
            client.close()
        freed = time.monotonic()
        status = None
        while status != 200 and time.monotonic() - freed < 20:
            with contextlib.suppress(OSError, EOFError):
                status = daemon.request("GET", "/healthz").status
        report.at_most("seconds until it serves again", time.monotonic() - freed, 1)


def chunked(connection):
    return connection.request_bytes("POST", "/survey", {"Transfer-Encoding": "chunked"})


FLOODS = {
    "target": (lambda _: b"GET /", b"a" * 65536),
    "header": (lambda c: c.request_bytes("GET", "/")[:-2] + b"X: ", b"a" * 65536),
    "headers": (lambda c: c.request_bytes("GET", "/")[:-2], b"X: a\r\n" * 10_000),
    "body": (
        lambda c: c.request_bytes("POST", "/survey", {"Content-Length": "62914560"}),
        b"a" * 65536,
    ),
    "one chunk": (lambda c: chunked(c) + b"3c00000\r\n", b"a" * 65536),
    "endless chunks": (chunked, (b"400\r\n" + b" " * 1024 + b"\r\n") * 64),
    "chunk extension": (lambda c: chunked(c) + b"1;a=", b"a" * 65536),
    "trailer": (lambda c: chunked(c) + b"0\r\nX: ", b"a" * 65536),
    "trailers": (lambda c: chunked(c) + b"0\r\n", b"X: a\r\n" * 10_000),
    "empty lines": (lambda _: b"", b"\r\n" * 30_000),
}


def floods(bench, report):
    """60 MB of whatever never ends cost a bounded amount, and the 4xx arrives."""
    times = bench.times(100)
    with bench.daemon(*NOBODYS_HURRY) as daemon:
        pid = daemon.pid
        daemon.request("GET", "/healthz")
        for name, (begin, chunk) in FLOODS.items():
            before = resident(pid)
            forget_peak(pid)
            answered, most = 0, 0
            for _ in range(times):
                sent, answer = clients.flood(daemon.address, begin, chunk, 60_000_000)
                most = max(most, sent)
                answered += answer.startswith(b"HTTP/1.1 4")
            report.at_least(f"{name}: 4xx arrived, share", answered / times, 0.99)
            report.at_most(f"{name}: memory, MiB more", (peak(pid) - before) / MEBIBYTE, 1)
            report.note(f"{name}: bytes taken at most", most)
        report.exactly("served afterwards", daemon.request("GET", "/healthz").status, 200)
