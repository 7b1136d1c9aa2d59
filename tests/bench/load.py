"""wrk, and what it says."""

import re
import subprocess
from pathlib import Path

PIPELINE = Path(__file__).with_name("pipeline.lua")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def run_wrk(server, seconds, connections, pipelined=1, headers=()):
    """Requests a second, p99 in ms and the server's own processor time of a request in us."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    if pipelined > 1:
        command += ["-s", str(PIPELINE)]
    command.append(server.url)
    if pipelined > 1:
        command += ["--", str(pipelined)]
    before = server.cpu_seconds()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = server.cpu_seconds() - before
    if bad := re.search(r"Non-2xx.*|Socket errors:.*", out):
        raise RuntimeError(f"{server.name}: {bad[0]}")
    requests = int(re.search(r"(\d+) requests in", out)[1])
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    return {
        "cpu us": used / requests * 1e6,
        "requests/s": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p99 ms": float(p99[1]) * UNITS[p99[2]],
    }
