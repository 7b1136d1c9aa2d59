"""Figures, and whether they keep within their bars."""

import contextlib
import json
import multiprocessing
import os
import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from wire import Connection  # noqa: E402

MEBIBYTE = 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Report:
    """What one experiment found: every figure, and the bars among them."""

    def __init__(self, name):
        self.name = name
        self.figures = {}
        self.missed = []

    def note(self, what, value):
        self.figures[what] = round(value, 3) if isinstance(value, float) else value
        print(f"  {what}: {self.figures[what]}", flush=True)

    def at_most(self, what, value, bar):
        self._bar(what, value, f"at most {bar}", value <= bar)

    def at_least(self, what, value, bar):
        self._bar(what, value, f"at least {bar}", value >= bar)

    def exactly(self, what, value, bar):
        self._bar(what, value, f"{bar} wanted", value == bar)

    def _bar(self, what, value, bar, met):
        self.note(what, value)
        self.figures[what + " (bar)"] = bar
        if not met:
            self.missed.append(what)
            print(f"  MISSED: {what}: {bar}", flush=True)

    def as_json(self):
        return {"experiment": self.name, "figures": self.figures, "missed": self.missed}


def pause(seconds):
    select.select([], [], [], max(seconds, 0))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def forget_peak(pid):
    """proc(5): 5 resets the peak of the resident size."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def count_of(pid, kind):
    """Entries of /proc/PID/fd or /proc/PID/task."""
    return len(os.listdir(f"/proc/{pid}/{kind}"))


class Prober:
    """Asks for `paths` in turn, one request every `interval` seconds, in a process of its own, and
    takes the time of each. `fresh` is a new connection for each request."""

    def __init__(self, address, paths=("/healthz",), interval=0.01, fresh=False):
        self._arguments = (address, paths, interval, fresh)
        self._end = multiprocessing.Event()
        self._pipe, self._child_pipe = multiprocessing.Pipe()

    def __enter__(self):
        self._process = multiprocessing.Process(target=self._probe, daemon=True)
        self._process.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.latencies, self.failures = self._pipe.recv()
        self._process.join()

    @property
    def p99_ms(self):
        return percentile(self.latencies, 0.99) * 1000

    def _probe(self):
        address, paths, interval, fresh = self._arguments
        latencies, failures, connection, turn = [], [], None, 0
        while not self._end.is_set():
            begun = time.perf_counter()
            try:
                connection = connection or Connection(address)
                answer = connection.request("GET", paths[turn % len(paths)])
                if answer.status != 200:
                    failures.append(f"{paths[turn % len(paths)]}: {answer.status}")
                latencies.append(time.perf_counter() - begun)
            except (OSError, EOFError, ValueError) as failure:
                failures.append(repr(failure))
                connection = None
            if (fresh or (connection and answer.closes)) and connection:
                connection.close()
                connection = None
            turn += 1
            pause(interval - (time.perf_counter() - begun))
        self._child_pipe.send((latencies, failures))


class Sampler:
    """Calls `look` every `interval` seconds in a process of its own, keeping (seconds, value)."""

    def __init__(self, look, interval=0.1):
        self._look, self._interval = look, interval
        self._end = multiprocessing.Event()
        self._pipe, self._child_pipe = multiprocessing.Pipe()

    def __enter__(self):
        self._process = multiprocessing.Process(target=self._sample, daemon=True)
        self._process.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.samples = self._pipe.recv()
        self._process.join()

    def _sample(self):
        samples = []
        while not self._end.is_set():
            with contextlib.suppress(OSError, EOFError):
                samples.append((time.monotonic(), self._look()))
            pause(self._interval)
        self._child_pipe.send(samples)


def write(directory, reports):
    for report in reports:
        path = Path(directory) / f"{report.name}.json"
        path.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
