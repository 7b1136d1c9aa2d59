"""Killed before and after each system call of an ensure, a later ensure converges to the same tree.

SIGKILL comes at the entry of a call, which then is not made: that is before this call, and after
the one that precedes it. After the last call the daemon is killed once it has answered.
"""

import contextlib
import itertools
import json
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import tree_case  # noqa: E402
from cgroups import in_cgroup, remove  # noqa: E402
from daemon import needs_root  # noqa: E402
from tracing import Trace, thread_called  # noqa: E402
from tree_case import HOST, SCOPE  # noqa: E402


class KilledCase:
    """The course of each kill; `body` is what is asked for."""

    cgroup_suffix = ""

    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.socket = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "s")
        self.set_up()

    def set_up(self):
        """What has to be there before the first daemon."""

    def new_daemon_at(self, path):
        return self.new_daemon(
            *(in_cgroup(path) if path else ()),
            cgroup_name=self.tree.name + self.cgroup_suffix,
            unix_socket=self.socket,
        )

    def request(self, daemon):
        body = json.dumps(self.body).encode()
        return daemon.request("POST", "/cgroups/ensure", body=body, address=self.socket)

    def worker(self, daemon):
        return thread_called(daemon, "cgroups")

    def facts(self):
        return tree_case.facts(self.tree)

    def test_it_converges_wherever_it_was_killed(self):
        self.prepare()
        calls, expected = self.undisturbed()
        # Both directories, and the controllers: fewer would mean that strace saw another thread.
        self.assertGreater(len(calls), 30)
        for before, call in itertools.pairwise([None, *calls, None]):
            for again_in_scope in self.ways_to_start:
                with self.subTest(call and f"{call.name} {call.number}", scope=again_in_scope):
                    self.prepare()
                    place = self.kill_at(call)
                    self.assertFalse(self.has_made(call))
                    self.assertIn(self.has_made(before), (None, True))
                    if again_in_scope and not self.may_enter_scope():
                        continue
                    self.converge(self.tree.own if again_in_scope else place, expected)

    def undisturbed(self):
        """The calls of the first request of a daemon, and what is there after it."""
        with self.new_daemon_at(self.start_at) as daemon:
            with Trace(self.worker(daemon)) as trace:
                answer = self.request(daemon)
            self.assertEqual(answer.status, 200, answer.body)
            self.assert_place(daemon)
            return trace.calls, self.facts()

    def kill_at(self, call):
        """Says in which cgroup the daemon was when it died; None for the root."""
        with self.new_daemon_at(self.start_at) as daemon:
            if call is None:
                self.assertEqual(self.request(daemon).status, 200)
                daemon.signal(signal.SIGKILL)
            else:
                inject = f"inject={call.name}:signal=KILL:when={call.number}"
                with Trace(self.worker(daemon), "-e", inject):
                    with contextlib.suppress(EOFError, ConnectionError):
                        answer = self.request(daemon)
                        self.fail(f"it lives, and answers {answer.status}")
            os.waitid(os.P_PID, daemon.process.pid, os.WEXITED | os.WNOWAIT)
            # Not reaped yet: the kernel still says where it was.
            place = self.path_of(daemon.process.pid)
            self.assertEqual(daemon.process.wait(), -signal.SIGKILL)
        return self.tree.root / place.lstrip("/") if place != "/" else None

    def has_made(self, call):
        """Whether the directory is there that this call makes; None for other calls."""
        if call is None or call.name != "mkdirat":
            return None
        return (self.tree.root / call.about.removeprefix("/sys/fs/cgroup/")).exists()

    def converge(self, place, expected):
        with self.new_daemon_at(place) as daemon:
            answer = self.request(daemon)
            self.assertEqual(answer.status, 200, answer.body)
            self.assert_place(daemon)
            self.assertEqual(self.facts(), expected)


@unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "no strace below a sanitizer")
@needs_root
class HostPlacement(KilledCase, tree_case.TreeCase):
    body = HOST
    start_at = None
    ways_to_start = (False,)

    def set_up(self):
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")
        self.before = self.path_of("self")

    def prepare(self):
        remove(self.tree.own)
        self.tree.disable_again()

    def assert_place(self, daemon):
        self.assertEqual(self.path_of(daemon.pid), self.before)


@unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "no strace below a sanitizer")
@needs_root
class ScopePlacement(KilledCase, tree_case.TreeCase):
    """The next daemon starts where the killed one was, or once more in the scope."""

    body = SCOPE
    cgroup_suffix = "-host"
    ways_to_start = (False, True)

    def set_up(self):
        self.tree.enable_all()
        self.start_at = self.tree.own

    def prepare(self):
        remove(self.tree.own)
        self.tree.own.mkdir()

    def assert_place(self, daemon):
        self.assertEqual(self.path_of(daemon.pid), f"/{self.tree.name}/init")

    def may_enter_scope(self):
        """No process can enter a cgroup that has divided its controllers."""
        return not self.tree.enabled(self.tree.own)


class Evacuation(ScopePlacement):
    """Others live in the scope, and are moved one after the other."""

    body = {**SCOPE, "evacuate": "all"}
    others = ()

    def prepare(self):
        super().prepare()
        for process in self.others:
            process.communicate()
        self.others = [self.live_in(self.tree.own) for _ in range(3)]

    def assert_place(self, daemon):
        super().assert_place(daemon)
        for process in self.others:
            self.assertEqual(self.path_of(process.pid), f"/{self.tree.name}/init")


if __name__ == "__main__":
    unittest.main()
