#!/usr/bin/env python3
"""GET /capabilities under wrk, beside nginx returning the same bytes: the servers' own processor time
(user + system) per request, interleaved, because on two cores the load generator soon is the limit.

usage: http_load.py SURVEYD [--rounds 5] [--seconds 4] [--connections 32]
Needs wrk and nginx. Prints a table and, with --json, the raw figures."""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


class Surveyd:
    name = "surveyd"

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--unix-socket", "none",
             "--log-level", "info"], stderr=subprocess.PIPE, text=True)
        self.url = None
        for line in self.process.stderr:
            if match := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                self.url = match[1] + "/capabilities"
            if "surveyed:" in line:
                break
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Nginx:
    name = "nginx"

    def __init__(self, directory, body, port):
        quoted = body.replace("\\", "\\\\").replace('"', '\\"').replace("$", "")
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w") as file:
            file.write(f"""
worker_processes 1; pid {directory}/pid; error_log {directory}/error.log; daemon off;
user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s; default_type application/json;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{quoted}"; }} }}
}}""")
        self.process = subprocess.Popen(["nginx", "-c", config])
        self.url = f"http://127.0.0.1:{port}/capabilities"
        wait_for(self.url)
        children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read()
        self.pid = int(children.split()[0])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wait_for(url):
    until = time.monotonic() + 10
    while True:
        try:
            return urllib.request.urlopen(url).read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def load(server, seconds, connections):
    before = cpu_seconds(server.pid)
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", server.url],
                         check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(server.pid) - before
    requests = int(re.search(r"(\d+) requests in", out)[1])
    if bad := re.search(r"Non-2xx.*|Socket errors:.*", out):
        sys.exit(f"{server.name}: {bad[0]}")
    return {"cpu_us": used / requests * 1e6, "rps": requests / seconds,
            "p99": re.search(r"99%\s+(\S+)", out)[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("surveyd")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json")
    options = parser.parse_args()
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")

    directory = tempfile.mkdtemp(prefix="surveyd-bench-")
    surveyd = Surveyd(options.surveyd)
    nginx = None
    try:
        body = wait_for(surveyd.url).decode()
        nginx = Nginx(directory, body, free_port())
        assert wait_for(nginx.url).decode() == body, "nginx does not return the same bytes"
        servers = [surveyd, nginx]
        for server in servers:  # warm up
            load(server, 1, options.connections)
        figures = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                figures[server.name].append(load(server, options.seconds, options.connections))
        ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(figures["surveyd"], figures["nginx"])]
        for name, rounds in figures.items():
            cpu = [one["cpu_us"] for one in rounds]
            rps = [one["rps"] for one in rounds]
            print(f"{name:8} {statistics.median(cpu):6.2f} us of its CPU per request "
                  f"({min(cpu):.2f} to {max(cpu):.2f}), {statistics.median(rps):8.0f} requests/s, "
                  f"p99 {rounds[len(rounds) // 2]['p99']}")
        print(f"ratio surveyd/nginx: median {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"surveyd resident after it: {resident_kib(surveyd.pid) / 1024:.1f} MiB")
        if options.json:
            json.dump({"figures": figures, "ratios": ratios}, open(options.json, "w"), indent=1)
    finally:
        surveyd.stop()
        if nginx:
            nginx.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
