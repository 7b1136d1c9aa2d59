"""What fails around the daemon, and its end: hanging files, the clock, the log, SIGTERM."""

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cgroups
from daemon import clean_environment
from measure import Prober, count_of, pause
from wire import Connection


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


def clocks(bench, report):
    """The time of day jumps by years; no deadline and no interval notices."""
    offset = bench.socket + ".offset"
    library = bench.compile("shifted_clock.c", "-shared", "-fPIC", "-ldl")
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
