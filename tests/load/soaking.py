"""Everything at once, for long."""

import contextlib
import multiprocessing
import os
import random
import time

import cgroups
import clients
from crowds import FLOODS
from experiment import allow_descriptors
from measure import MEBIBYTE, Prober, Sampler, count_of, pause, percentile, resident
from wire import Connection


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
