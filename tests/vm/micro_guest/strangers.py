"""Strangers that write a mutation and are gone before anybody can ask who they are."""

import os
import signal
import unittest
from pathlib import Path

import clients
from daemon import Daemon
from in_guest import SECONDS_PER_TEST

TREE = Path("/sys/fs/cgroup")
# How often each of them tries: more, and SURVEYD_VM_SECONDS, for a run by hand.
TRIES = int(os.environ.get("SURVEYD_STRANGERS_TRIES", "400"))


def cgroups():
    """All of them, and what they pass on."""
    return {
        str(path.parent): path.read_text(encoding="ascii")
        for path in TREE.rglob("cgroup.subtree_control")
    }


class V2(unittest.TestCase):
    def assert_nothing_changes(self, way):
        signal.alarm(SECONDS_PER_TEST + TRIES // 10)
        before = cgroups()
        with Daemon("--interval", "86400") as daemon:
            requests = [
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n"
                for path in ("/survey", "/cgroups/ensure")
            ]
            # The second survey looks at what changed before the first was watched.
            generation = daemon.eventually(
                lambda: daemon.generation() == 2 and 2, "the second survey"
            )
            self.assertEqual(clients.by_strangers(way, daemon.address, requests, TRIES), 0)
            metrics = daemon.metrics()
            answered = metrics.value("surveyd_http_requests_total", method="POST")
            refused = metrics.value("surveyd_http_requests_total", method="POST", code="403")
            self.assertEqual(answered, refused)
            self.assertEqual(daemon.generation(), generation)
            self.assertEqual([line for line in daemon.audit() if "allowed" in line], [])
            self.assertEqual(cgroups(), before)
            # Not because nobody may.
            self.assertEqual(daemon.request("POST", "/survey").status, 200)
            self.assertGreater(daemon.generation(), generation)
        print(f"{way.__name__}: {TRIES} tries, {answered:.0f} answered")

    def test_who_closes_changes_nothing(self):
        self.assert_nothing_changes(clients.write_then_close)

    def test_who_exits_changes_nothing(self):
        self.assert_nothing_changes(clients.write_then_exit)

    def test_who_resets_changes_nothing(self):
        self.assert_nothing_changes(clients.write_then_reset)
