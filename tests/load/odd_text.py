"""Text that nobody wants in a log, a metric or a name."""

import contextlib
import json
import os
import subprocess

import cgroups
from daemon import corpus, program
from wire import Connection

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
