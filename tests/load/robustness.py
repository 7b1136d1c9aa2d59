"""What surveyd withstands: each experiment starts a daemon of its own, does its worst for a bounded
time, prints figures beside their bars and writes them as JSON. docs/robustness.md has the results.
See scripts/robustness for how to call it."""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "support"))
sys.path.insert(0, str(HERE.parent))

import cgroups  # noqa: E402
import clients  # noqa: E402
from daemon import Daemon, clean_environment, corpus, program, run  # noqa: E402
from measure import (  # noqa: E402
    MEBIBYTE,
    Prober,
    Report,
    Sampler,
    count_of,
    cpu_seconds,
    forget_peak,
    pause,
    peak,
    percentile,
    resident,
    write,
)
from wire import Connection  # noqa: E402

NOBODYS_HURRY = ("--interval", "86400")


class Bench:
    """What the experiments share: a directory for the Unix socket, and how much to do."""

    def __init__(self, directory, scale, seconds, cap):
        self.socket = os.path.join(directory, "surveyd.sock")
        self.scale = scale
        self.seconds = seconds
        self.cap = cap

    def times(self, count):
        return max(1, int(count * self.scale))

    def compile(self, source, *options):
        """The path of what becomes of a C file, for every user."""
        directory = os.path.dirname(self.socket)
        os.chmod(directory, 0o755)
        path = os.path.join(directory, Path(source).stem)
        subprocess.run([program("cc"), "-O1", "-o", path, source, *options], check=True)
        return path

    def daemon(self, *arguments, **more):
        more.setdefault("listen", ("127.0.0.1:0",))
        return Daemon(*arguments, unix_socket=self.socket, **more)


def allow_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def owner(bench, report):
    """Root with plain curl is never refused, over both loopbacks and the Unix socket."""
    curl, tries = program("curl"), bench.times(1000)
    with bench.daemon(
        *NOBODYS_HURRY, listen=("127.0.0.1:0", "[::1]:0"), prefix=cgroups.WITHOUT_CGROUPS
    ) as daemon:
        (_, port4), (_, port6) = daemon.addresses
        for name, where in (
            ("127.0.0.1", [f"http://localhost:{port4}/cgroups/ensure", "-4"]),
            ("[::1]", [f"http://[::1]:{port6}/cgroups/ensure"]),
            ("Unix socket", ["http://localhost/cgroups/ensure", "--unix-socket", bench.socket]),
        ):
            good, statuses = 0, {}
            for _ in range(tries):
                answer = subprocess.run(
                    [curl, "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", *where],
                    capture_output=True, text=True,
                )
                status = answer.stdout if answer.returncode == 0 else f"curl {answer.returncode}"
                statuses[status] = statuses.get(status, 0) + 1
                # Without a cgroup file system an allowed ensure ends in 501.
                good += status in ("200", "501")
            report.note(f"answers over {name}", statuses)
            report.exactly(f"not refused over {name}", good, tries)


def vanishing(bench, report):
    """A stranger that writes a mutation and is gone changes nothing."""
    tries = bench.times(100_000)
    os.environ["WRITE_THEN_EXIT"] = bench.compile(HERE.parent / "write_then_exit.c")
    with bench.daemon(*NOBODYS_HURRY, prefix=cgroups.WITHOUT_CGROUPS) as daemon:
        requests = [
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n"
            for path in ("/survey", "/cgroups/ensure")
        ]
        before = daemon.generation(bench.socket)
        for way in (clients.write_then_close, clients.write_then_exit, clients.write_then_reset):
            begun = time.monotonic()
            failed = clients.by_strangers(way, daemon.address, requests, tries)
            name = way.__name__.replace("_", "-")
            report.exactly(f"{name}: clients that failed", failed, 0)
            report.note(f"{name}: tries", tries // 2 * 2)
            report.note(f"{name}: seconds", time.monotonic() - begun)
        metrics = daemon.metrics(bench.socket)
        reached = metrics.value("surveyd_http_requests_total", method="POST")
        report.note("requests that were answered", int(reached))
        report.exactly("surveys made", daemon.generation(bench.socket) - before, 0)
        allowed = metrics.value("surveyd_http_requests_total", method="POST") - metrics.value(
            "surveyd_http_requests_total", method="POST", code="403"
        )
        report.exactly("mutations answered with anything but 403", int(allowed), 0)
        report.exactly("audit lines that allow", sum("allowed" in line for line in daemon.audit()), 0)


def slow(bench, report):
    """4,000 slow clients of each kind hold nobody up, and all are gone in time."""
    allow_descriptors()
    count = min(4000, bench.times(4000))
    for kind, deadline in (("header", 12), ("body", 15), ("read", 15)):
        with bench.daemon(*NOBODYS_HURRY) as daemon:
            pid = daemon.pid
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


def hanging(bench, report):
    """A device, then a cgroup file, whose open never returns."""
    tool = os.environ["SURVEYD_FUSEHANG"]
    v2_only = ("unshare", "--mount", "sh", "-c", cgroups.MOUNT + ' && exec "$@"', "sh")
    for name, path, prefix in (
        ("/dev/net/tun", "/dev/net/tun", ()),
        ("cgroup.controllers", "/sys/fs/cgroup/cgroup.controllers", v2_only),
    ):
        prefix = (*prefix, sys.executable, tool, path, "--")
        begun = time.monotonic()
        with bench.daemon(ready_line="listening on unix", prefix=prefix) as daemon:
            paths = ("/healthz", "/metrics")
            with Prober(bench.socket, paths=paths) as prober:
                daemon.eventually(
                    lambda: daemon.request("GET", "/capabilities").status == 200, "an answer"
                )
                report.at_most(f"{name}: seconds to /capabilities", time.monotonic() - begun, 2)
                findings = daemon.request("GET", "/findings").json()["findings"]
                timed_out = [
                    one["id"]
                    for one in findings
                    if one["status"] == "unknown" and one["reason_code"] == "timed_out"
                ]
                report.note(f"{name}: timed out", timed_out)
                report.at_least(f"{name}: findings that timed out", len(timed_out), 1)
                report.note(f"{name}: findings answered", len(findings) - len(timed_out))
                for _ in range(bench.times(10)):
                    asked = time.monotonic()
                    with daemon.connect() as connection:
                        connection.request("POST", "/survey")
                    pause(1 - (time.monotonic() - asked))
            report.at_most(f"{name}: GET, p99 ms", prober.p99_ms, 50)
            bad = [failure for failure in prober.failures if "503" not in failure]
            report.exactly(f"{name}: GETs that failed", len(bad), 0)
            report.note(f"{name}: threads", count_of(daemon.pid, "task"))
            asked = time.monotonic()
            daemon.stop()
            report.at_most(f"{name}: seconds to end", time.monotonic() - asked, 5)


def ending(bench, report):
    """SIGTERM at 1,000 requests a second truncates no answer."""
    cut, resets, lost, answered, slowest = 0, 0, 0, 0, 0.0
    rounds = bench.times(20)
    for _ in range(rounds):
        with bench.daemon() as daemon:
            with contextlib.ExitStack() as stack:
                pipes = []
                for _ in range(4):
                    ours, theirs = multiprocessing.Pipe()
                    worker = multiprocessing.Process(
                        target=load_until_closed, args=(daemon.address, theirs), daemon=True
                    )
                    worker.start()
                    stack.callback(worker.join)
                    pipes.append(ours)
                pause(0.5)
                begun = time.monotonic()
                daemon.stop()  # status 0, or it raises
                slowest = max(slowest, time.monotonic() - begun)
                for pipe in pipes:
                    one = pipe.recv()
                    cut, resets = cut + one["cut"], resets + one["resets"]
                    lost, answered = lost + one["lost"], answered + one["answered"]
    report.note("rounds, all ended with 0", rounds)
    report.note("answers a second", answered / rounds / 0.5)
    report.exactly("truncated answers", cut, 0)
    report.exactly("resets", resets, 0)
    report.note("requests that found the connection closing, all rounds", lost)
    report.at_most("seconds to end, slowest", slowest, 5)


def load_until_closed(address, pipe):
    """About 250 requests a second over keep-alive connections, until all of them are closed."""
    found = {"cut": 0, "resets": 0, "lost": 0, "answered": 0}
    connections = [Connection(address) for _ in range(5)]
    targets = ("/capabilities", "/metrics", "/findings", "/app.js")
    while connections:
        for connection in list(connections):
            begun = time.monotonic()
            try:
                answer = connection.request("GET", random.choice(targets))
                found["answered"] += 1
                if answer.closes:
                    connections.remove(connection)
            except EOFError:
                found["cut" if connection._buffer else "lost"] += 1
                connections.remove(connection)
            except BrokenPipeError:
                found["lost"] += 1
                connections.remove(connection)
            except ConnectionResetError:
                found["cut"] += bool(connection._buffer)
                found["resets"] += 1
                connections.remove(connection)
            pause(0.004 - (time.monotonic() - begun))
    pipe.send(found)


ODD = [b"\r", b"\n", b"\r\n", b"\x1b[2J\x1b[31m", b"\0", b"\xff\xfe", b"\xc3(", b"\xe2\x80\xa8", b"%0d%0a"]


def odd_strings():
    texts = json.loads(corpus("blns.json").read_text(encoding="utf-8"))
    return [text.encode("utf-8", "surrogatepass") for text in texts] + ODD


def odd(bench, report):
    """Strings that others choose get into no log record's structure and into no metric."""
    promtool = program("promtool")
    strings = odd_strings()
    report.note("strings", len(strings))
    with cgroups.Tree() as tree:
        tree.own.mkdir()
        made = make_odd_cgroups(tree, strings)
        report.note("cgroups with such names", made)
        for log_format in ("text", "json"):
            with bench.daemon(
                "--log-format", log_format, "--log-level", "debug", "--cgroup-name", tree.name,
                prefix=tree.inside,
            ) as daemon:
                series = []
                for part in range(3):
                    for text in strings[part::3]:
                        send_odd(daemon, bench.socket, text)
                    listing = daemon.request("GET", "/cgroups", address=bench.socket)
                    listing.json()
                    metrics = daemon.metrics(bench.socket)
                    series.append(len({(n, tuple(sorted(x.items()))) for n, x, _ in metrics.samples}))
                    checked = subprocess.run(
                        [promtool, "check", "metrics"], input=metrics.text.encode(), capture_output=True
                    )
                    said = (checked.stdout + checked.stderr).decode()
                    report.exactly(f"{log_format}: promtool", (checked.returncode, said), (0, ""))
                report.note(f"{log_format}: series after each third", series)
                report.at_most(f"{log_format}: series that the last thirds added", series[2] - series[1], 0)
                daemon.stop()
                bad = [line for line in daemon.log if not is_record(line, log_format)]
                report.note(f"{log_format}: log lines", len(daemon.log))
                report.exactly(f"{log_format}: lines that are no record", bad, [])


def is_record(line, log_format):
    if log_format == "json":
        try:
            return {"time", "level", "message"} == json.loads(line).keys()
        except ValueError:
            return False
    # 2026-01-02T03:04:05.678Z info …, and nothing that a terminal would obey.
    date, _, rest = line.partition(" ")
    return date.endswith("Z") and rest.split(" ")[0] in ("debug", "info", "warning", "error") and (
        line.isprintable()
    )


def make_odd_cgroups(tree, strings):
    made = 0
    for text in strings[:60] + strings[-len(ODD):]:
        with contextlib.suppress(OSError, ValueError):
            if b"/" not in text and text not in (b"", b".", b".."):
                os.mkdir(os.fsencode(tree.own) + b"/" + text[:200])
                made += 1
    return made


def send_odd(daemon, unix_socket, text):
    """In a path, a query, a value, a name, a method, an id, and a body."""
    host = b"Host: localhost\r\n"
    for data in (
        b"GET /" + text + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /capabilities?" + text + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /healthz HTTP/1.1\r\n" + host + b"User-Agent: " + text + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + host + text + b": x\r\n\r\n",
        text + b" / HTTP/1.1\r\n" + host + b"\r\n",
        b"DELETE /cgroups/containers/" + text + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /findings/" + text + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /cgroups/ensure HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n\r\n" % len(text) + text
        if text
        else b"",
    ):
        with contextlib.suppress(OSError), Connection(unix_socket) as connection:
            connection.send(data)
            connection.finish_sending()
            connection.rest()


def clocks(bench, report):
    """The time of day jumps by years; no deadline and no interval notices."""
    offset = bench.socket + ".offset"
    library = bench.compile(HERE.parent / "shifted_clock.c", "-shared", "-fPIC", "-ldl")
    environment = {"LD_PRELOAD": library, "CLOCK_OFFSET": offset}
    with bench.daemon("--interval", "1", environment=environment) as daemon:
        with Prober(bench.socket, paths=("/healthz", "/metrics")) as prober:
            for jump in (0, 10**8, -(10**8), 0):
                Path(offset).write_text(str(jump))
                generation = daemon.generation(bench.socket)
                with daemon.connect() as idle:
                    pause(4)
                    report.exactly(f"{jump:+d} s: an idle connection lives",
                                   idle.request("GET", "/healthz").status, 200)
                made = daemon.generation(bench.socket) - generation
                report.at_least(f"{jump:+d} s: surveys in 4 s", made, 3)
                report.at_most(f"{jump:+d} s: surveys in 4 s, most", made, 6)
                shown = daemon.metrics(bench.socket).value("surveyd_survey_timestamp_seconds")
                report.at_most(f"{jump:+d} s: the time shown is off by", abs(shown - time.time() - jump), 5)
        report.exactly("GETs that failed", len(prober.failures), 0)
        report.at_most("GET, p99 ms", prober.p99_ms, 50)


def logs(bench, report):
    """A log that nobody reads, then one that is closed, under refusals that are logged."""
    for name in ("unread", "closed"):
        readable, writable = os.pipe()
        command = [os.environ["SURVEYD_BIN"], "serve", "--listen", "none", "--unix-socket", bench.socket]
        process = subprocess.Popen(command, env=clean_environment(), stderr=writable)
        os.close(writable)
        if name == "closed":
            os.close(readable)
        while not os.path.exists(bench.socket):
            pause(0.01)
        pause(0.5)
        with Prober(bench.socket, interval=0.001) as prober:
            begun = time.monotonic()
            refused = 0
            while time.monotonic() - begun < bench.times(5):
                with Connection(bench.socket) as connection:
                    answer = connection.request("POST", "/survey", {"Origin": "http://a"})
                    refused += answer.status == 403
        report.note(f"{name}: refusals", refused)
        report.at_most(f"{name}: GET, p99 ms", prober.p99_ms, 50)
        report.exactly(f"{name}: GETs that failed", len(prober.failures), 0)
        process.send_signal(signal.SIGTERM)
        report.exactly(f"{name}: status", process.wait(10), 0)
        if name == "unread":
            os.close(readable)


def soak(bench, report):
    """Everything at once, for as long as is asked."""
    allow_descriptors()
    with bench.daemon("--interval", "1", prefix=cgroups.WITHOUT_CGROUPS) as daemon:
        pid = daemon.pid
        # What the first of each loads and opens, for owners of TCP connections say, is no cost of many.
        for address in (daemon.address, bench.socket):
            for path in ("/survey", "/cgroups/ensure"):
                daemon.request("POST", path, address=address)
        before = at_rest(pid)
        end = time.monotonic() + bench.seconds
        workers = [
            multiprocessing.Process(target=mixed, args=(daemon.address, bench.socket, end, seed))
            for seed in range(3)
        ]

        for worker in workers:
            worker.start()
        with Sampler(lambda: resident(pid), 1) as sampler, Prober(bench.socket, paths=("/metrics",)) as prober:
            for worker in workers:
                worker.join()
        pause(3)
        memory, after = resident(pid), at_rest(pid)
        samples = [sample for _, sample in sampler.samples]
        # What the first minute loads is what a second one needs again.
        settled = samples[min(len(samples) // 4, 60):]
        report.note("seconds", bench.seconds)
        metrics = daemon.metrics(bench.socket)
        report.note("answers", int(metrics.value("surveyd_http_requests_total")))
        report.exactly("clients that failed", sum(w.exitcode != 0 for w in workers), 0)
        report.exactly("GETs that failed", len(prober.failures), 0)
        report.note("GET, p99 ms", prober.p99_ms)
        report.note("memory over time, MiB",
                    [round(s / MEBIBYTE, 1) for s in samples[:: max(1, len(samples) // 20)]])
        halves = settled[: len(settled) // 2], settled[len(settled) // 2 :]
        growth = percentile(halves[1], 0.5) - percentile(halves[0], 0.5)
        report.at_most("memory, second half against first, MiB", growth / MEBIBYTE, 1)
        report.note("memory at the end, MiB", memory / MEBIBYTE)
        for kind, name in (("fd", "descriptors"), ("task", "threads")):
            report.note(f"{name} before the clients came", before[kind])
            report.exactly(f"{name} after they left, more than before", after[kind] - before[kind], 0)
        daemon.stop()


def at_rest(pid):
    """The least of 2 s: what a survey opens, it closes."""
    looks = []
    for _ in range(40):
        looks.append({kind: count_of(pid, kind) for kind in ("fd", "task")})
        pause(0.05)
    return {kind: min(one[kind] for one in looks) for kind in ("fd", "task")}


def mixed(address, unix_socket, end, seed):
    chance = random.Random(seed)
    strings = [os.urandom(20) for _ in range(10)]
    host = f"{address[0]}:{address[1]}".encode()
    begins = list(FLOODS.values())
    kept = Connection(address)
    while time.monotonic() < end:
        act = chance.randrange(8)
        with contextlib.suppress(OSError, EOFError):
            if act < 3:
                target = chance.choice(("/capabilities", "/findings", "/cgroups", "/", "/changes"))
                if kept.request("GET", target).closes:
                    kept.close()
                    kept = Connection(address)
            elif act == 3:
                with Connection(address) as one:
                    one.send(b"GET /" + chance.choice(strings) + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
                    one.rest()
            elif act == 4:
                begin, chunk = chance.choice(begins)
                clients.flood(address, begin, chunk, 1_000_000)
            elif act == 5:
                with Connection(unix_socket) as one:
                    one.request("POST", chance.choice(("/survey", "/cgroups/ensure")))
            elif act == 6:
                one = Connection(address)
                one.send(b"POST /survey HTTP/1.1\r\n")
                one.reset()
            else:
                with contextlib.ExitStack() as stack:
                    crowd = [stack.enter_context(Connection(address)) for _ in range(100)]
                    for one in crowd:
                        one.send_request("GET", "/metrics")
                    crowd[0].receive()
            continue
        with contextlib.suppress(OSError):
            kept.close()
            kept = Connection(address)


EXPERIMENTS = {
    function.__name__: function
    for function in (
        owner, vanishing, slow, crowd, descriptors, floods, hanging, ending, odd, clocks, logs, soak,
    )
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/robustness", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT",
                        help=", ".join(EXPERIMENTS) + " [all]")
    parser.add_argument("--scale", type=float, default=1.0,
                        help="how much of it: 0.01 for a hundredth [1]")
    parser.add_argument("--seconds", type=int, default=600, help="of the soak [600]")
    parser.add_argument("--cap", type=int, default=4096,
                        help="of connections, for a binary that cannot be told another [4096]")
    parser.add_argument("--json", metavar="DIRECTORY", help="where to write a file for each")
    settings = parser.parse_args()
    unknown = set(settings.experiments) - EXPERIMENTS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    reports = []
    for name in settings.experiments or EXPERIMENTS:
        print(f"{name}: {EXPERIMENTS[name].__doc__.splitlines()[0]}", flush=True)
        report = Report(name)
        with tempfile.TemporaryDirectory() as directory:
            EXPERIMENTS[name](Bench(directory, settings.scale, settings.seconds, settings.cap), report)
        reports.append(report)
    if settings.json:
        os.makedirs(settings.json, exist_ok=True)
        write(settings.json, reports)
    missed = [f"{report.name}: {what}" for report in reports for what in report.missed]
    print(f"{len(missed)} bars missed" + "".join(f"\n  {one}" for one in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
