"""The servers that are compared: each on loopback, ready to answer inside of its context."""

import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import clean_environment  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return answer.read()


def when_answering(url):
    """What it answers first."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return fetch(url)
        except OSError:
            if time.monotonic() > end:
                raise
            select.select([], [], [], 0.01)


class Server(contextlib.ExitStack):
    """`pid` is the process that serves, `url` what it is asked for."""

    name = ""

    def __init__(self, prefix=()):
        """`prefix` is a command that ends in running the server."""
        super().__init__()
        self.prefix = prefix
        self.port = free_port()
        self.process = None
        self.pid = None
        self.directory = self.enter_context(tempfile.TemporaryDirectory(prefix="surveyd-bench-"))

    def start(self, *command, environment=None):
        self.process = subprocess.Popen(
            [*self.prefix, *command],
            env=environment or clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self.process.pid
        self.callback(self.stop)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.path}"

    def cpu_seconds(self):
        """User and system time of the process that serves."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE


class Surveyd(Server):
    name = "surveyd"

    def __init__(self, binary, path="/capabilities", arguments=(), environment=None, prefix=()):
        super().__init__(prefix)
        self.path = path
        self.socket = os.path.join(self.directory, "surveyd.sock")
        self.command = (binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--unix-socket",
                        self.socket, "--max-requests", "1000000000", *arguments)
        self.start(*self.command, environment=environment)
        when_answering(self.url)


class Nginx(Server):
    """One worker that returns `body`."""

    name = "nginx"
    path = "/"

    def __init__(self, body, prefix=()):
        super().__init__(prefix)
        text = body.decode().replace("\\", "\\\\").replace('"', '\\"').replace("$", "")
        config = Path(self.directory, "nginx.conf")
        temporary = "".join(f"{kind}_temp_path {self.directory}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(f"""
worker_processes 1; worker_rlimit_nofile 20000; pid {self.directory}/pid; daemon off;
master_process {"off" if prefix else "on"};
error_log {self.directory}/error.log; user root;
events {{ worker_connections 12000; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  {temporary}
  server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ return 200 "{text}"; }} }}
}}""")
        self.start("nginx", "-e", f"{self.directory}/error.log", "-c", str(config))
        if when_answering(self.url) != body:
            raise RuntimeError("nginx does not return the same bytes")
        if prefix:  # which sees the process that it starts
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.pid = int(children.split()[0])


class BareLoop(Server):
    """An epoll loop that writes the same bytes and parses nothing: the limit."""

    name = "bare loop"
    path = "/"

    def __init__(self, program, answer, prefix=()):
        super().__init__(prefix)
        file = Path(self.directory, "answer")
        file.write_bytes(answer)
        self.process = subprocess.Popen([*prefix, program, file], stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.callback(self.stop)
        self.port = int(self.process.stdout.readline())


class NodeExporter(Server):
    name = "node_exporter"
    path = "/metrics"

    def __init__(self):
        super().__init__()
        self.command = ("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.port}",
                        "--log.level=error")
        self.start(*self.command)
        when_answering(self.url)


def whole_answer(url):
    """An answer as it goes over the wire, the head included."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


def missing_programs():
    needed = ("wrk", "nginx", "prometheus-node-exporter", "strace", "valgrind")
    return [name for name in needed if not shutil.which(name)]
