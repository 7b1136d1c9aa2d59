"""The guest: surveyd as a unit of systemd, and the cgroup v2 tree that both of them manage."""

import contextlib
import json
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from cgroups import remove, words
from daemon import eventually
from wire import Connection, Metrics

JOB = Path("/job")
TREE = Path("/sys/fs/cgroup")
BINARY = Path("/usr/local/bin/surveyd")
UNIT = Path("/etc/systemd/system/surveyd.service")
SOCKET = "/run/surveyd/surveyd.sock"
HOST_PARENT = TREE / "zlayer" / "containers"
SYSTEM_SCOPE = TREE / "system.slice" / "surveyd.service"
# What a unit with Delegate=yes is promised.
DELEGATED = {"cpuset", "cpu", "io", "memory", "pids"}
EVERY_HOUR = "[Service]\nEnvironment=SURVEYD_INTERVAL=3600\n"


def install():
    """The binary, the libraries that the guest lacks, and the unit without a sandbox."""
    shutil.copy(JOB / "surveyd", BINARY)
    for library in (JOB / "lib").rglob("*.so*"):
        place = Path("/") / library.relative_to(JOB / "lib")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
    run("ldconfig")
    shutil.copy(JOB / "surveyd.service", UNIT)
    # What is seen to change has been noticed, and not found by the next survey.
    drop_in = UNIT.with_name(UNIT.name + ".d") / "interval.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(EVERY_HOUR, encoding="ascii")
    systemctl("daemon-reload")


def run(*command, check=True, **options):
    """A command to its end; what it printed is shown when it fails."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    ended = subprocess.run(
        [str(word) for word in command],
        **streams | options,
        text=True,
        errors="replace",
        timeout=60,
    )
    if check and ended.returncode != 0:
        said = f"{ended.stdout or ''}{ended.stderr or ''}"
        raise AssertionError(f"{' '.join(ended.args)}: {ended.returncode}\n{said}")
    return ended


def systemctl(*arguments):
    return run("systemctl", *arguments)


def cgroup_of(pid):
    """Where a process is, as a directory of the tree."""
    text = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").strip()
    return TREE / text.removeprefix("0::/")


def enabled(directory):
    return set(words(directory / "cgroup.subtree_control"))


def offered(directory):
    return set(words(directory / "cgroup.controllers"))


def counts(path):
    """A file of "name number" lines, like memory.events."""
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: int(number) for name, number in map(str.split, lines)}


def request(method, target, body=None, socket=SOCKET):
    """One request over the Unix socket, which is the way for controllers."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    with Connection(socket) as connection:
        return connection.request(method, target, headers, data)


def is_ready(socket=SOCKET):
    with contextlib.suppress(OSError, EOFError):
        return request("GET", "/readyz", socket=socket).status == 200


class ServiceCase(unittest.TestCase):
    """surveyd.service, started for each test and gone after it with every cgroup that it made."""

    def setUp(self):
        self.addCleanup(remove, TREE / "zlayer")
        self.addCleanup(systemctl, "stop", UNIT.name)
        self.start()

    def start(self, verb="start"):
        systemctl(verb, UNIT.name)
        eventually(is_ready, "the service answers")

    @property
    def pid(self):
        return int(systemctl("show", "--property=MainPID", "--value", UNIT.name).stdout)

    def ensured(self, placement="auto"):
        """What POST /cgroups/ensure answered, once the metrics know of it as well."""
        answer = request("POST", "/cgroups/ensure", {"placement": placement})
        self.assertEqual(answer.status, 200, answer.body)
        document = answer.json()
        given = {name for name, state in document["controllers"].items() if state == "enabled"}
        eventually(lambda: self.delegated() == given, "the metrics say what is delegated")
        return document

    def listed(self):
        """Container id -> its row of GET /cgroups."""
        return {one["id"]: one for one in request("GET", "/cgroups").json()["containers"]}

    def delegated(self):
        """The controllers that the container parent has, as the metrics say it."""
        metrics = Metrics(request("GET", "/metrics").body.decode())
        name = "surveyd_cgroup_controller_delegated"
        return {
            labels["controller"]
            for labels in metrics.label_sets(name)
            if metrics.value(name, **labels) == 1
        }

    def generation(self):
        return request("GET", "/capabilities").json()["survey"]["generation"]

    def container(self, parent, name):
        """A cgroup with one process in it, as a container runtime makes them; the process."""
        directory = parent / name
        directory.mkdir()
        process = subprocess.Popen(["sleep", "infinity"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        (directory / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
        return process

    def assert_removed(self, name, query=""):
        answer = request("DELETE", f"/cgroups/containers/{name}{query}")
        self.assertEqual((answer.status, answer.json()), (200, {"id": name, "removed": True}))

    def assert_occupied(self, name):
        """DELETE is refused; the pids that it names."""
        answer = request("DELETE", f"/cgroups/containers/{name}")
        self.assertEqual(answer.status, 409, answer.body)
        return [one["pid"] for one in answer.json()["processes"]]


def timed(condition, what):
    """Waits, and says how many milliseconds it took."""
    begun = time.monotonic()
    eventually(condition, what)
    return (time.monotonic() - begun) * 1000
