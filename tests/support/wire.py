"""HTTP as bytes: one connection, nothing added to what a test wants to send."""

import fcntl
import json
import re
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass

# Generous: the machine may be compiling at the same time.
DEADLINE = 20.0


@dataclass(frozen=True)
class Response:
    version: str
    status: int
    reason: str
    headers: tuple
    body: bytes

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    @property
    def closes(self):
        return (self.header("Connection") or "").lower() == "close"


class Connection:
    """One connection to the daemon: `address` is (host, port) or the path of a Unix socket."""

    def __init__(self, address, receive_buffer=None):
        self.address = address
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.was_reset = False
        self._buffer = b""
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def host(self):
        """What belongs into the Host header."""
        if isinstance(self.address, str):
            return "localhost"
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def wait_until_read(self):
        """Unix sockets only: until the daemon has taken everything that was sent."""
        end = time.monotonic() + DEADLINE
        unread = struct.pack("i", 0)
        while struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, unread))[0] > 0:
            assert time.monotonic() < end, "the daemon does not read"
            # Nothing is expected to become readable: this only passes the time.
            self.is_readable(0.0005)

    def request_bytes(self, method, target, headers=(), body=None, version="1.1"):
        """`headers` (a mapping or pairs) replace Host when they name it."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if not any(name.lower() == "host" for name, _ in pairs):
            pairs.insert(0, ("Host", self.host))
        if body is not None:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in pairs]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")

    def send_request(self, method, target, headers=(), body=None, version="1.1"):
        self.send(self.request_bytes(method, target, headers, body, version))

    def request(self, method, target, headers=(), body=None, version="1.1"):
        self.send_request(method, target, headers, body, version)
        return self.receive(method)

    def is_readable(self, seconds):
        return bool(self._buffer or select.select([self.socket], [], [], seconds)[0])

    def receive(self, method="GET"):
        """The next answer, interim ones (1xx) included."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        headers = tuple(tuple(line.split(": ", 1)) for line in lines)
        answer = Response(version, int(status), reason, headers, b"")
        if method == "HEAD" or answer.status < 200 or answer.status == 304:
            return answer
        size = int(answer.header("Content-Length"))
        while len(self._buffer) < size:
            self._fill()
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return Response(version, int(status), reason, headers, body)

    def rest(self):
        """What comes until the daemon closes."""
        try:
            while data := self.socket.recv(65536):
                self._buffer += data
        except ConnectionResetError:
            self.was_reset = True
        rest, self._buffer = self._buffer, b""
        return rest

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the daemon closed the connection after {self._buffer!r}")
        self._buffer += data


def send_until_answered(connection, chunk, most_bytes):
    """Sends `chunk` again and again until there is an answer; says how many bytes it took."""
    sent = 0
    try:
        while sent < most_bytes and not connection.is_readable(0.001):
            connection.send(chunk)
            sent += len(chunk)
    except (BrokenPipeError, ConnectionResetError):
        pass  # what was answered before is still there to be read
    return sent


def trickle(morsels, pace, deadline):
    """Sends each connection its morsel every `pace` seconds until it is answered or closed. Says
    after how many seconds that was, None past the deadline."""
    begun = time.monotonic()
    seconds = dict.fromkeys(morsels)
    waiting = {connection.socket: connection for connection in morsels}
    while waiting and time.monotonic() - begun < deadline:
        for ready in select.select(list(waiting), [], [], pace)[0]:
            seconds[waiting.pop(ready)] = time.monotonic() - begun
        for connection in waiting.values():
            try:
                connection.send(morsels[connection])
            except (BrokenPipeError, ConnectionResetError):
                pass  # the next select sees it
    return seconds


SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """The Prometheus text format, parsed."""

    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"not a sample: {line!r}"
                labels = dict(LABEL.findall(match["labels"] or ""))
                self.samples.append((match["name"], labels, float(match["value"])))

    def values(self, name, **labels):
        return [
            value
            for sample, has, value in self.samples
            if sample == name and labels.items() <= has.items()
        ]

    def value(self, name, **labels):
        """The sum over the samples that fit; 0 when there is none."""
        return sum(self.values(name, **labels))

    def label_sets(self, name):
        return [labels for sample, labels, _ in self.samples if sample == name]
