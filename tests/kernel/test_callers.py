"""Many callers at once: what they see is what they would see alone."""

import collections
import contextlib
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import tree_case  # noqa: E402
from daemon import needs_root  # noqa: E402
from wire import DEADLINE, Connection  # noqa: E402

CALLERS = 64
# A sanitizer slows the daemon down to about a tenth.
REQUESTS = 100 if os.environ.get("SURVEYD_SANITIZED") else 1000
REQUESTS = int(os.environ.get("SURVEYD_REQUESTS", REQUESTS))
SHARED = [f"shared-{number}" for number in range(8)]
PLACEMENTS = (None, {"placement": "host"}, {"placement": "auto"})


class Caller:
    """One connection, and one request after the other on it; says what was wrong."""

    def __init__(self, number, address, parent):
        self._number = number
        self._address = address
        self._parent = parent
        self._random = random.Random(number)
        self.statuses = collections.Counter()
        self.wrong = []

    def run(self):
        steps = (self.ensure, self.remove, self.remove_absent, self.remove_shared)
        steps += (self.remove_nested, self.remove_by_force, self.list)
        weights = (25, 32, 10, 15, 10, 3, 5)
        with Connection(self._address) as self._connection:
            while self.statuses.total() < REQUESTS:
                self._random.choices(steps, weights)[0]()

    def ensure(self):
        placement = self._random.choice(PLACEMENTS)
        body = None if placement is None else json.dumps(placement).encode()
        document = self._request("ensure", "POST", "/cgroups/ensure", body)
        self._expect(document.get("created"), [])
        self._expect(set(document.get("controllers", {}).values()), {"enabled"})

    def remove(self):
        path = self._parent / self._own_name()
        path.mkdir()
        self._expect(self._delete(path.name), {"id": path.name, "removed": True})
        self._expect(path.exists(), False)

    def remove_absent(self):
        name = self._own_name()
        self._expect(self._delete(name), {"id": name, "removed": False})

    def remove_shared(self):
        """Others make and remove it at the same time."""
        path = self._parent / self._random.choice(SHARED)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        self._expect(self._delete(path.name).get("id"), path.name)

    def remove_nested(self):
        path = self._parent / self._own_name()
        (path / "child").mkdir(parents=True)
        children = self._delete(path.name, 409).get("children", [])
        self._expect([os.path.basename(one) for one in children], ["child"])
        (path / "child").rmdir()
        self._expect(self._delete(path.name), {"id": path.name, "removed": True})

    def remove_by_force(self):
        path = self._parent / self._own_name()
        (path / "child").mkdir(parents=True)
        with subprocess.Popen(["sleep", "600"]) as process:
            try:
                (path / "child" / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
                document = self._request(
                    "force_remove", "DELETE", f"/cgroups/containers/{path.name}?force=true"
                )
                self._expect(document, {"id": path.name, "removed": True})
                self._expect(path.exists(), False)
                self._expect(process.wait(DEADLINE), -signal.SIGKILL)
            finally:
                process.kill()

    def list(self):
        document = self._request("list", "GET", "/cgroups")
        self._expect(document.get("exists"), True)

    def _own_name(self):
        return f"own-{self._number}-{self.statuses.total()}"

    def _delete(self, name, status=200):
        return self._request("remove", "DELETE", f"/cgroups/containers/{name}", status=status)

    def _request(self, kind, method, target, body=None, status=200):
        answer = self._connection.request(method, target, body=body)
        self.statuses[kind, answer.status] += 1
        if answer.status != status:
            self.wrong.append(f"{method} {target}: {answer.status} {answer.body}")
            return {}
        return answer.json()

    def _expect(self, value, expected):
        if value != expected:
            self.wrong.append(f"{value!r} instead of {expected!r}")


def call(caller, all_there, results):
    """The process of one caller."""
    failure = None
    try:
        all_there.wait()
        caller.run()
    except Exception as unexpected:
        failure = repr(unexpected)
    results.put((caller.statuses, [*caller.wrong, *([failure] if failure else [])]))


@needs_root
class Callers(tree_case.HostCase):
    def start(self, *prefix, **how):
        self.socket = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "s")
        return super().start(*prefix, unix_socket=self.socket, **how)

    def open_descriptors(self):
        """What each of them stands for, how often."""
        directory = Path(f"/proc/{self.daemon.pid}/fd")
        links = collections.Counter()
        for descriptor in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                links[re.sub(r"\[\d+\]", "", os.readlink(descriptor))] += 1
        return links

    def assert_nothing_leaked(self, before):
        # The daemon may not have closed the connection of the call before `before` yet.
        self.daemon.eventually(
            lambda: not self.open_descriptors() - before, f"nothing but {before} is open"
        )

    def run_callers(self):
        """What all of them saw: how many answers of each status, and what was wrong."""
        addresses = [self.socket, *self.daemon.addresses]
        results = multiprocessing.SimpleQueue()
        all_there = multiprocessing.Barrier(CALLERS)
        processes = []
        for number in range(CALLERS):
            caller = Caller(number, addresses[number % len(addresses)], self.parent)
            process = multiprocessing.Process(target=call, args=(caller, all_there, results))
            process.start()
            processes.append(process)
            self.addCleanup(process.kill)
        statuses, wrong = collections.Counter(), []
        for _ in processes:
            seen, complaints = results.get()
            statuses += seen
            wrong += complaints
        for process in processes:
            process.join()
        return statuses, wrong

    def counted(self):
        """The operations by kind, as the daemon has counted them."""
        counts = collections.Counter()
        for name, labels, value in self.daemon.metrics().samples:
            if name == "surveyd_cgroup_operations_total" and value > 0:
                counts[labels["operation"], labels["result"]] += int(value)
        return counts

    def test_mixed_calls_over_every_listener(self):
        self.ensured()
        before = self.counted()
        self.containers()  # opens the tree of those who read
        descriptors = self.open_descriptors()

        statuses, wrong = self.run_callers()

        self.assertEqual(wrong[:20], [])
        self.assertGreaterEqual(statuses.total(), CALLERS * REQUESTS)
        expected = collections.Counter(
            {
                ("ensure", "ok"): statuses["ensure", 200],
                ("remove", "ok"): statuses["remove", 200],
                ("remove", "refused"): statuses["remove", 409],
                ("force_remove", "ok"): statuses["force_remove", 200],
            }
        )
        self.assertEqual(self.counted() - before, expected)
        self.assert_nothing_leaked(descriptors)
        # Made by one caller after another one had asked to remove it.
        for name in self.containers():
            self.assertIn(name, SHARED)
            self.assertEqual(self.remove(name).status, 200)
        parent = f"{self.tree.name}/containers"
        self.assertEqual(self.tree.names(), {self.tree.name, parent})
        self.assert_delegated(self.parent, self.ensured())


if __name__ == "__main__":
    unittest.main()
