"""Who may and who may not, many times over."""

import os
import subprocess
import time

import cgroups
import clients
from daemon import program
from experiment import NOBODYS_HURRY


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
    os.environ["WRITE_THEN_EXIT"] = bench.compile("write_then_exit.c")
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
