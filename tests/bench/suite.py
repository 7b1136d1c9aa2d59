"""What surveyd costs beside its peers, in one interleaved run.

Starts everything on loopback, measures A B C A B C…, prints medians with their spread and the
ratios that have bars, writes JSON from which plots.py draws. Run it through scripts/bench.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[0] / "support"))

import plots  # noqa: E402
import recording  # noqa: E402
from cgroup_bench import machine, site_of  # noqa: E402
from cgroups import Tree  # noqa: E402
from daemon import binary, clean_environment, is_root  # noqa: E402
from figures import Experiment  # noqa: E402
from idle import Idle  # noqa: E402
from load import run_wrk  # noqa: E402
from servers import (  # noqa: E402
    BareLoop,
    NodeExporter,
    Nginx,
    Surveyd,
    fetch,
    missing_programs,
    whole_answer,
)
from wire import Connection  # noqa: E402

MEBIBYTE = 1024 * 1024
# Where programs are looked for: a usual PATH, whatever ours is.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Bench:
    def __init__(self, options):
        self.rounds = options.rounds
        self.seconds = options.seconds
        self.build = Path(options.build).resolve()
        self.containers = options.containers
        self.connections = options.connections

    def program(self, name):
        return str(self.build / "tests" / name)

    def surveyd(self, path="/capabilities", *arguments, environment=None):
        return Surveyd(binary(), path, arguments, environment)

    @contextlib.contextmanager
    def peers(self):
        """surveyd, nginx and the bare loop, with the same bytes to say."""
        with self.surveyd() as surveyd:
            body = fetch(surveyd.url)
            answer = whole_answer(surveyd.url)
            with Nginx(body) as nginx, BareLoop(self.program("bare_loop"), answer) as loop:
                yield surveyd, nginx, loop


def requests(bench):
    """GET /capabilities, 32 keep-alive connections."""
    return compare(bench, "requests", requests.__doc__, 1, 1.0, 1.25)


def pipelined(bench):
    """GET /capabilities, 32 connections, 16 requests at a time."""
    return compare(bench, "pipelined", pipelined.__doc__, 16, 0.6, None)


def compare(bench, name, title, at_a_time, most_of_nginx, most_of_loop):
    result = Experiment(name, title)
    with bench.peers() as servers:
        for server in servers:
            run_wrk(server, 1, 32, at_a_time)  # warm
        # Twice as many: the servers are closer to each other than single rounds of one of them.
        for _ in range(2 * bench.rounds):
            for server in servers:
                result.add(server.name, **run_wrk(server, bench.seconds, 32, at_a_time))
        surveyd = servers[0]
        result.add("surveyd after it", **{"resident MiB": surveyd.resident() / MEBIBYTE})
    cpu = "cpu us"
    result.ratio("CPU of nginx's", ("surveyd", cpu), ("nginx", cpu), at_most=most_of_nginx)
    result.ratio("CPU of the bare loop's", ("surveyd", cpu), ("bare loop", cpu), at_most=most_of_loop)
    rate = "requests/s"
    result.ratio("requests a second of nginx's", ("surveyd", rate), ("nginx", rate),
                 at_least=1)
    if at_a_time == 1:  # wrk takes no latency of pipelined requests
        result.ratio("p99 of nginx's", ("surveyd", "p99 ms"), ("nginx", "p99 ms"), at_most=1)
    return result


def scrapes(bench):
    """GET /metrics, 4 keep-alive connections."""
    result = Experiment("scrapes", scrapes.__doc__)
    gzip = ("Accept-Encoding: gzip",)
    with bench.surveyd("/metrics") as surveyd, NodeExporter() as exporter:
        for _ in range(bench.rounds):
            result.add("surveyd", **run_wrk(surveyd, bench.seconds, 4))
            result.add("node_exporter", **run_wrk(exporter, bench.seconds, 4))
            result.add("surveyd, gzip", **run_wrk(surveyd, bench.seconds, 4, headers=gzip))
            result.add("node_exporter, gzip", **run_wrk(exporter, bench.seconds, 4, headers=gzip))
        result.add("surveyd after it", **{"resident MiB": surveyd.resident() / MEBIBYTE})
        result.add("node_exporter after it", **{"resident MiB": exporter.resident() / MEBIBYTE})
    rate = "requests/s"
    result.ratio("times node_exporter's requests a second", ("surveyd", rate),
                 ("node_exporter", rate), at_least=50)
    result.ratio("the same, gzip", ("surveyd, gzip", rate), ("node_exporter, gzip", rate))
    return result


def first_answer(server_class, *arguments):
    """Milliseconds from exec to the first answer that is 200, asked for without a pause."""
    begun = time.perf_counter()

    class Impatient(server_class):
        def start(self, *command, **options):
            nonlocal begun
            begun = time.perf_counter()
            super().start(*command, **options)
            self.first = self._until_answered()

        def _until_answered(self):
            request = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
            while time.perf_counter() - begun < 20:
                with contextlib.suppress(OSError), socket.create_connection(
                        ("127.0.0.1", self.port)) as connection:
                    connection.sendall(request)
                    if connection.recv(64).startswith(b"HTTP/1.1 200"):
                        return (time.perf_counter() - begun) * 1000
            raise RuntimeError(f"{self.name} does not answer")

    with Impatient(*arguments) as server:
        return server.first, server.resident() / MEBIBYTE


def start(bench):
    """From exec to the first answer, and what is resident then."""
    result = Experiment("start", start.__doc__)
    ways = {"surveyd": (Surveyd, binary()), "node_exporter": (NodeExporter,),
            "nginx": (Nginx, b"{}")}
    for _ in range(3 * bench.rounds):
        for name, (server_class, *arguments) in ways.items():
            milliseconds, resident = first_answer(server_class, *arguments)
            result.add(name, **{"ms": milliseconds, "resident MiB": resident})
    result.judge("ms to surveyd's first answer", result.values("surveyd", "ms"), at_most=20)
    result.judge("MiB resident, idle", result.values("surveyd", "resident MiB"), at_most=8)
    result.ratio("resident of node_exporter's", ("surveyd", "resident MiB"),
                 ("node_exporter", "resident MiB"), at_most=1 / 3)
    return result


class Counted:
    """A surveyd that counts its allocations and its calls on connections (counted.c)."""

    def __init__(self, bench, *arguments):
        self._file = tempfile.NamedTemporaryFile()
        self._file.write(bytes(16))
        self._file.flush()
        preload = {"LD_PRELOAD": bench.program("libcounted.so"), "COUNTS": self._file.name}
        self._surveyd = bench.surveyd("/capabilities", *arguments,
                                      environment=clean_environment(preload))

    def __enter__(self):
        self.surveyd = self._surveyd.__enter__()
        return self

    def __exit__(self, *raised):
        self._surveyd.__exit__(*raised)
        self._file.close()

    def counts(self):
        counts = Path(self._file.name).read_bytes()
        return [int.from_bytes(counts[at:at + 8], sys.byteorder) for at in (0, 8)]

    def a_request(self, ask, requests=None):
        """What one of the requests of `ask()` takes."""
        answered = requests or requests_of(self.surveyd)
        before = self.counts()
        ask()
        after = self.counts()
        if not requests:
            requests = requests_of(self.surveyd) - answered
        return [(b - a) / requests for a, b in zip(before, after)]


def costs(bench):
    """What a keep-alive request takes: system calls, allocations."""
    result = Experiment("costs", costs.__doc__)
    # Few connections, as what is made ready for each after the start is no request's cost.
    few = ("--interval", "3600", "--max-connections", "128")
    with Counted(bench, *few) as counted, bench.surveyd("/capabilities", *few) as traced:
        for server in (counted.surveyd, traced):
            run_wrk(server, 2, 32)  # until the start is over
        for _ in range(bench.rounds):
            with Connection(("127.0.0.1", counted.surveyd.port)) as one:
                ask(one, 200)
                allocations, calls = counted.a_request(lambda: ask(one, 2000), 2000)
            result.add("1 connection", allocations=allocations, **{"calls": calls})
            _, calls = counted.a_request(lambda: run_wrk(counted.surveyd, 1, 32))
            result.add("32 connections", calls=calls)
        for count in (1, 32):
            for _ in range(2):
                result.add(f"{count} connection{'s' * (count > 1)}",
                           **{"calls below strace": calls_a_request(traced, count)})
    for name in ("1 connection", "32 connections"):
        for column in ("calls", "calls below strace"):
            result.judge(f"system {column} a request, {name}", result.values(name, column),
                         at_most=3.2)
    result.judge("allocations a request", result.values("1 connection", "allocations"), at_most=0)
    return result


def instructions(bench):
    """GET /capabilities by one connection: instructions of a request outside of the kernel."""
    result = Experiment("instructions", instructions.__doc__)
    with bench.surveyd() as surveyd:
        body, answer = fetch(surveyd.url), whole_answer(surveyd.url)
    ways = {
        "surveyd": lambda prefix: Surveyd(binary(), "/capabilities", prefix=prefix),
        "nginx": lambda prefix: Nginx(body, prefix),
        "bare loop": lambda prefix: BareLoop(bench.program("bare_loop"), answer, prefix),
    }
    few, many = 2000, 7000
    for name, start_below in ways.items():
        for _ in range(2):
            spent = [instructions_of(start_below, requests) for requests in (few, many)]
            result.add(name, instructions=(spent[1] - spent[0]) / (many - few))
    column = "instructions"
    for peer in ("nginx", "bare loop"):
        result.ratio(f"instructions of {peer}'s", ("surveyd", column), (peer, column))
    return result


def instructions_of(start_below, requests):
    """Of a server from its start to its end, which answers so many requests in between."""
    with tempfile.NamedTemporaryFile("r") as out:
        callgrind = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out.name}")
        with start_below(callgrind) as server:
            with Connection(("127.0.0.1", server.port)) as one:
                ask(one, requests, server.path)
        return int(re.search(r"^summary: (\d+)", out.read(), re.MULTILINE)[1])


def ask(connection, times, path="/capabilities"):
    for _ in range(times):
        connection.request("GET", path)


def calls_a_request(server, connections):
    with tempfile.NamedTemporaryFile("r") as out:
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", out.name, "-p", str(server.pid)],
                                  stderr=subprocess.PIPE, text=True)
        tracer.stderr.readline()  # attached
        answered = requests_of(server)
        if connections == 1:
            with Connection(("127.0.0.1", server.port)) as one:
                ask(one, 5000)
        else:
            subprocess.run(["wrk", "-t1", f"-c{connections}", "-d1s", server.url], check=True,
                           capture_output=True)
        answered = requests_of(server) - answered
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
        total = re.search(r"(\d+)(?:\s+\d+)?\s+total", out.read())
        return int(total[1]) / answered


def requests_of(server):
    text = fetch(f"http://127.0.0.1:{server.port}/metrics").decode()
    counts = re.findall(r"^surveyd_http_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(float(count) for count in counts)


def surveys(bench):
    """One survey beside the system calls that it makes, recorded and made again by themselves."""
    result = Experiment("surveys", surveys.__doc__)
    environment = {"PATH": PATH}
    bars = {"reference": 1.2, "p0": 1.5, "all": 1.5}
    recorded = {}
    for what in bars:
        command = [bench.program("survey_once"), what]
        recorded[what] = recording.record(command, environment)

    def nanoseconds(command, text=None):
        done = subprocess.run(command, env=environment, input=text, check=True,
                              capture_output=True, text=True)
        return int(done.stdout) / 1000

    for _ in range(3 * bench.rounds):
        for what, calls in recorded.items():
            survey = nanoseconds([bench.program("survey_once"), what, "300"])
            bare = nanoseconds([bench.program("bare_calls"), "300"], recording.lines_of(calls))
            result.add(f"survey of {what}", us=survey)
            result.add(f"its {len(calls)} calls", us=bare)
    for what, bar in bars.items():
        calls = f"its {len(recorded[what])} calls"
        result.ratio(f"{what}: times its system calls", (f"survey of {what}", "us"), (calls, "us"),
                     at_most=bar)
    return result


@contextlib.contextmanager
def idle_connections(server, count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        yield


def connections(bench):
    """GET /capabilities by 1 to 32 clients beside idle connections."""
    result = Experiment("connections", connections.__doc__, "open connections")
    with bench.surveyd("/capabilities", "--max-connections", "12000") as surveyd:
        for _ in range(bench.rounds):
            for count in bench.connections:
                active = min(count, 32)
                with idle_connections(surveyd, count - active):
                    one = run_wrk(surveyd, 1, active)
                    result.point("CPU us a request", count, one["cpu us"])
    few, many = (dict(result.growth["CPU us a request"])[count] for count in
                 (bench.connections[1], bench.connections[-1]))
    result.judge(f"growth from {bench.connections[1]:,} to {bench.connections[-1]:,}",
                 [b / a for a, b in zip(few, many)])
    return result


def forced(bench):
    """GET /capabilities while surveys are forced, so many a second."""
    result = Experiment("forced", forced.__doc__, "surveys asked for, a second")
    rates = (0, 10, 100, 1000)
    with bench.surveyd() as surveyd:
        for _ in range(bench.rounds):
            for rate in rates:
                with forcing(surveyd, rate):
                    result.point("requests/s", rate, run_wrk(surveyd, bench.seconds, 32)["requests/s"])
    points = result.growth["requests/s"]
    result.judge("throughput lost with 1,000 a second",
                 [1 - many / none for none, many in zip(points[0], points[1000])], at_most=0.1)
    return result


@contextlib.contextmanager
def forcing(server, rate):
    """POST /survey at this rate over the Unix socket, pipelined, so that it costs us little."""
    request = b"POST /survey HTTP/1.1\r\nHost: localhost\r\n\r\n"
    every = 0.05
    end = threading.Event()
    # An answer each, in order: of one connection one survey is under way at a time.
    sockets = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(25 if rate else 0)]
    for one in sockets:
        one.connect(server.socket)
        one.setblocking(False)

    def send():
        begun, sent = time.monotonic(), 0
        while not end.wait(every):
            due = int((time.monotonic() - begun) * rate)
            for turn, one in enumerate(sockets):
                share = (due - sent + turn) // len(sockets)
                with contextlib.suppress(BlockingIOError):
                    if share:
                        one.send(request * share)
                with contextlib.suppress(BlockingIOError):
                    one.recv(1 << 20)
            sent = due

    thread = threading.Thread(target=send)
    if rate:
        thread.start()
    try:
        yield
    finally:
        end.set()
        if rate:
            thread.join()
        for one in sockets:
            one.close()


def containers(bench):
    """Beside so many container cgroups."""
    result = Experiment("containers", containers.__doc__, "container cgroups")
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(Tree())
        if not tree.is_real_root:
            raise unittest.SkipTest("not in the initial cgroup namespace")
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        options = argparse.Namespace(interval=3600)
        sites = [stack.enter_context(site_of(tree, f"{tree.name}-{count}", count, options, directory))
                 for count in bench.containers]

        def median(*arguments):
            out = subprocess.run([*tree.inside, bench.program("cgroup_client"), *map(str, arguments)],
                                 check=True, capture_output=True, text=True).stdout
            times = sorted(int(line.split()[-1]) for line in out.splitlines())
            return times[len(times) // 2] / 1000

        asked = {"GET /capabilities": ("GET", "/capabilities", 2000), "GET /metrics": ("GET", "/metrics", 2000),
                 "POST /survey": ("POST", "/survey", 20)}
        for _ in range(bench.rounds):
            for what, (method, target, times) in asked.items():
                for site in sites:
                    us = median("request", times, site.socket, method, target)
                    result.point(f"{what}, us", site.siblings, us)
            for site in sites:
                us = median("delete", site.directory, 100, site.socket)
                result.point("DELETE, us", site.siblings, us)
        for site in sites:
            us = median("request", 1, site.socket, "GET", "/cgroups")
            result.point("GET /cgroups, us", site.siblings, us)
    least, most = bench.containers[0], bench.containers[-1]
    for name, points in result.growth.items():
        grows = [b / a for a, b in zip(points[least], points[most])]
        linear = most / least
        result.judge(f"growth of {name.removesuffix(', us')} from {least:,} to {most:,}", grows,
                     at_most=linear if name.startswith("GET /cgroups") else 1.5)
    result.judge("ms of a scrape beside the most",
                 [us / 1000 for us in result.growth["GET /metrics, us"][most]], at_most=1)
    return result


EXPERIMENTS = {one.__name__: one for one in (
    requests, pipelined, scrapes, start, costs, instructions, surveys, connections, forced,
    containers)}


def idling(idle, resident):
    """Left alone, at the default interval."""
    result = Experiment("idle", idling.__doc__)
    wake_ups, switches = idle.stop()
    result.add("surveyd", **{"wake-ups a minute": wake_ups, "thread switches a minute": switches,
                             "resident MiB": resident / MEBIBYTE, "seconds": idle.seconds})
    result.judge("wake-ups a minute", [wake_ups], at_most=4)
    result.judge("MiB resident", [resident / MEBIBYTE], at_most=8)
    return result


def run(bench, names, directory):
    results = []
    with bench.surveyd() as quiet:
        idle = Idle(quiet)
        for name in names:
            try:
                result = EXPERIMENTS[name](bench)
            except unittest.SkipTest as reason:
                print(f"\n{name}: skipped, {reason}")
                continue
            result.print()
            results.append(result)
        if idle.seconds >= 60:
            result = idling(idle, quiet.resident())
            result.print()
            results.append(result)
        else:
            idle.stop()
    document = {"machine": about_machine(), "rounds": bench.rounds, "seconds": bench.seconds,
                "experiments": [result.as_json() for result in results]}
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, indent=1)
        Path(directory, "bench.json").write_text(text + "\n", encoding="utf-8")
        plots.draw(document, directory)
    return results


def about_machine():
    info = machine(argparse.Namespace(offered=()))
    del info["controllers"]
    return info


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of each load")
    parser.add_argument("--quick", action="store_true", help="whether it works, not what it costs")
    parser.add_argument("--directory", help="where bench.json and the plots go")
    parser.add_argument("experiment", nargs="*", choices=[[], *EXPERIMENTS], metavar="EXPERIMENT",
                        help=f"of {', '.join(EXPERIMENTS)}")
    options = parser.parse_args()
    options.containers = (10, 100, 1000, 10_000)
    options.connections = (1, 100, 1000, 10_000)
    if options.quick:
        options.rounds = 1
        options.containers = (1, 20)
        options.connections = (1, 32, 64)
    if missing := missing_programs():
        print(f"skipped: not installed: {', '.join(missing)}")
        return 77
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    names = options.experiment or [name for name in EXPERIMENTS
                                   if name != "containers" or is_root]
    begun = time.monotonic()
    results = run(Bench(options), names, options.directory)
    print(f"\n{time.monotonic() - begun:.0f} s")
    missed = [one for result in results for one in result.ratios if not one.get("holds", True)]
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
