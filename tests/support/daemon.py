"""The daemon under test, as a child process."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from wire import DEADLINE, Connection, Metrics

# What the kernel keeps of a process's name.
COMM_LENGTH = 15
LISTENING = re.compile(r'listening on (https?://\S+?|unix:[^"]+?)(, reads only)?(?:"}|$)')

is_root = os.geteuid() == 0
needs_root = unittest.skipUnless(is_root, "needs root")


def binary():
    path = os.environ.get("SURVEYD_BIN")
    if not path:
        raise RuntimeError("SURVEYD_BIN has to name the binary to test")
    return os.path.abspath(path)


def corpus(name):
    """A file of SURVEYD_CORPORA; skips without it."""
    directory = os.environ.get("SURVEYD_CORPORA")
    if not directory:
        raise unittest.SkipTest("SURVEYD_CORPORA is not set")
    return Path(directory) / name


def container_ids():
    """(what follows /cgroups/containers/, "valid", "refuse" or "either") of the corpus."""
    for line in corpus("container-ids.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tail = bytes.fromhex(row["tail_hex"]) if "tail_hex" in row else row["tail"].encode()
        # Targets are sent as Latin-1: every byte as it is.
        yield tail.decode("latin-1"), row["expect"]


def program(name):
    """Skips a test that needs a program which is not installed."""
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


def clean_environment(extra=None):
    """Ours without the settings of a daemon, with `extra`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SURVEYD_")}
    return {**kept, **(extra or {})}


def run(*arguments, environment=None, prefix=()):
    """Runs the binary to its end."""
    return subprocess.run(
        [*prefix, binary(), *arguments],
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def public_binary(directory):
    """A copy in `directory` that every user can execute, wherever the build directory is."""
    os.chmod(directory, os.stat(directory).st_mode | 0o055)
    path = os.path.join(directory, "surveyd")
    shutil.copy(binary(), path)
    os.chmod(path, 0o755)
    return path


def eventually(condition, what, deadline=DEADLINE, wait=None):
    """The first true value of `condition`; `wait(seconds)` passes the time between two looks."""
    wait = wait or threading.Event().wait
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what}")
        wait(0.02)


def with_descendants(pid):
    """The process and all below it, parents first."""
    pids = [pid]
    for pid in pids:
        try:
            # Of each thread that started some.
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile
    return pids


class Daemon:
    """`surveyd serve` as a context: ready to answer inside, ended by SIGTERM with status 0 after.

    `prefix` is a command that ends in running the daemon, for another user, namespace or limit.
    `ready_line` is what the log has to say before the test begins.
    """

    def __init__(
        self,
        *arguments,
        listen=("127.0.0.1:0",),
        unix_socket="none",
        environment=None,
        prefix=(),
        executable=None,
        ready_line="surveyed:",
    ):
        self._executable = executable or binary()
        self._command = [*prefix, self._executable, "serve", "--unix-socket", unix_socket]
        for address in listen:
            self._command += ["--listen", address]
        self._command += arguments
        self._environment = clean_environment(environment)
        self._ready_line = ready_line
        self._changed = threading.Condition()
        self._ended_log = False
        self.log = []

    def __enter__(self):
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            if self._ready_line:
                self.wait_for_log(self._ready_line)
        except AssertionError:
            self._kill()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process.returncode is None:
                self.stop()
        except AssertionError:
            if kind is None:
                raise
        finally:
            self._kill()

    @property
    def listeners(self):
        """The names of the listening sockets, in the order of the log."""
        with self._changed:
            return [match[1] for line in self.log if (match := LISTENING.search(line))]

    @property
    def addresses(self):
        """(host, port) of each TCP listener."""
        names = [name.partition("://")[2] for name in self.listeners if name[0] == "h"]
        pairs = [name.rpartition(":") for name in names]
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.address[1]

    @property
    def pid(self):
        """The daemon itself, below whatever started it."""
        name = os.path.basename(self._executable)[:COMM_LENGTH]
        pids = with_descendants(self.process.pid)
        for pid in pids:
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                return pid
        raise AssertionError(f"no {name} among the processes {pids}")

    def connect(self, address=None):
        return Connection(address or self.address)

    def request(self, method, target, headers=(), body=None, address=None):
        with self.connect(address) as connection:
            return connection.request(method, target, headers, body)

    def capabilities(self, address=None):
        return self.request("GET", "/capabilities", address=address).json()

    def generation(self, address=None):
        return self.capabilities(address)["survey"]["generation"]

    def metrics(self, address=None):
        return Metrics(self.request("GET", "/metrics", address=address).body.decode())

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, deadline=DEADLINE):
        """SIGTERM, and the status that follows it."""
        self.signal(signal.SIGTERM)
        return self.wait_for_end(deadline)

    def wait_for_end(self, deadline=DEADLINE):
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            late = f"still running after {deadline:g} s\n{self._log_text()}"
            raise AssertionError(late) from None
        assert status == 0, f"ended with status {status}\n{self._log_text()}"

    def wait_for_log(self, text, deadline=DEADLINE):
        """The first line of the log with this text."""

        def find():
            return next((line for line in self.log if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: find() or self._ended_log, deadline)
            line = find()
        if line is None:
            raise AssertionError(f'no "{text}" in the log\n{self._log_text()}')
        return line

    def eventually(self, condition, what, deadline=DEADLINE):
        def wait(seconds):
            with self._changed:
                self._changed.wait(seconds)

        return eventually(condition, what, deadline, wait)

    def audit(self):
        return [line for line in self.log if "audit: " in line]

    def _read_log(self):
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended_log = True
            self._changed.notify_all()

    def _log_text(self):
        return "\n".join(["the daemon's log:", *self.log])

    def _kill(self):
        """What a failed test left running."""
        if self.process.poll() is None:
            for pid in with_descendants(self.process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self._reader.join(DEADLINE)
        self.process.stderr.close()


class DaemonCase(unittest.TestCase):
    """One daemon for all tests of a class."""

    arguments = ()
    listen = ("127.0.0.1:0",)

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.socket_path = os.path.join(cls.directory, "surveyd.sock")
        cls.daemon = cls.enterClassContext(cls.make_daemon())

    @classmethod
    def make_daemon(cls):
        return Daemon(*cls.arguments, listen=cls.listen, unix_socket=cls.socket_path)

    def assert_problem(self, answer, status, name=None):
        """The answer is a problem document (RFC 9457) with this status."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        document = answer.json()
        self.assertLessEqual({"type", "title", "status", "detail"}, document.keys())
        self.assertEqual(document["status"], status)
        self.assertEqual(document["title"], answer.reason)
        self.assertTrue(document["detail"])
        if name:
            self.assertEqual(document["type"], f"urn:surveyd:problem:{name}")
        return document
