"""The unit and the socket unit that are installed with surveyd, as they are."""

import contextlib
import json
import os
import re
import signal
import threading
import unittest

from cgroups import remove
from daemon import eventually
from machine import BINARY, JOB, SOCKET, TREE, UNIT, is_ready, request, run, systemctl
from wire import DEADLINE, Connection

SOCKET_UNIT = UNIT.with_suffix(".socket")
DROP_IN = UNIT.with_name(UNIT.name + ".d") / "zz-hardened.conf"
TCP = ("127.0.0.1", 9847)
SANDBOX = "the sandbox of surveyd's own unit"
CLIENTS = 4
# What must not be taken away.
KEPT = (
    "is_root",
    "has_cap_net_admin",
    "tun_device_available",
    "overlayfs_rootfs_available",
    "can_write_cgroup_root",
)


def verified_findings():
    """id -> finding, once everything that can be tried has been tried."""
    answer = request("POST", "/survey", {"verify": True})
    assert answer.status == 200, answer.body
    document = request("GET", "/findings").json()
    return {one["id"]: one for one in document["findings"]}


def shown(name):
    return run("systemctl", "show", f"--property={name}", "--value", UNIT.name).stdout.strip()


class Hardened(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        plain = UNIT.read_text(encoding="ascii")
        cls.addClassCleanup(systemctl, "daemon-reload")
        cls.addClassCleanup(UNIT.write_text, plain, encoding="ascii")
        systemctl("start", UNIT.name)
        eventually(is_ready, "the service answers")
        cls.unhardened = verified_findings()
        systemctl("stop", UNIT.name)

        text = (JOB / "systemd" / UNIT.name).read_text(encoding="ascii")
        UNIT.write_text(text.replace("/usr/bin/surveyd", str(BINARY)), encoding="ascii")
        SOCKET_UNIT.write_text((JOB / "systemd" / SOCKET_UNIT.name).read_text(), encoding="ascii")
        cls.addClassCleanup(SOCKET_UNIT.unlink)
        cls.addClassCleanup(systemctl, "stop", UNIT.name, SOCKET_UNIT.name)
        systemctl("daemon-reload")
        cls.addClassCleanup(remove, TREE / "zlayer")
        systemctl("start", UNIT.name)
        # Before any ensure, as with the other one.
        cls.hardened = verified_findings()

    def drop_in(self, text):
        DROP_IN.write_text(text, encoding="ascii")
        self.addCleanup(systemctl, "restart", UNIT.name)
        self.addCleanup(systemctl, "daemon-reload")
        self.addCleanup(DROP_IN.unlink)
        systemctl("daemon-reload")
        systemctl("restart", UNIT.name)

    def test_it_is_active_and_says_what_it_found(self):
        # Ready is ready: nothing is waited for.
        self.assertEqual(shown("ActiveState"), "active")
        both = systemctl("is-active", UNIT.name, SOCKET_UNIT.name).stdout.split()
        self.assertEqual(both, ["active", "active"])
        self.assertTrue(is_ready())
        self.assertIn("assessed_mode full", shown("StatusText"))
        with Connection(TCP) as client:
            self.assertEqual(client.request("GET", "/readyz").status, 200)

    def test_its_exposure_is_low(self):
        ended = run("systemd-analyze", "security", "--no-pager", UNIT.name)
        last = ended.stdout.splitlines()[-1]
        print(last)
        self.assertLessEqual(float(last.split(": ")[1].split()[0]), 3.0, ended.stdout)

    def test_its_findings_are_the_unhardened_ones_or_name_the_sandbox(self):
        self.assertEqual(self.hardened.keys(), self.unhardened.keys())
        unexplained = []
        for name in ("fuse_overlayfs_rootfs_available", "pasta_available", "kvm"):
            print(name, self.unhardened[name]["reason"], "|", self.hardened[name]["reason"])
        for name, finding in self.hardened.items():
            other = self.unhardened[name]
            if finding["status"] == other["status"]:
                continue
            said = any(one["source"] == SANDBOX for one in finding["evidence"])
            print(f"{name}: {other['status']}, sandboxed {finding['status']}: {finding['reason']}")
            if not said:
                unexplained.append(json.dumps([other, finding], indent=1))
        self.assertEqual(unexplained, [])

    def test_with_the_documented_drop_in_they_are_the_unhardened_ones(self):
        document = (JOB / "systemd" / "systemd.md").read_text(encoding="utf-8")
        self.drop_in(re.search(r"# systemctl edit surveyd\n(.*?)```", document, re.DOTALL)[1])
        findings = verified_findings()
        differ = {
            name: (self.unhardened[name]["status"], finding["status"], finding["reason"])
            for name, finding in findings.items()
            if finding["status"] != self.unhardened[name]["status"]
            and name != "cgroup_delegation"  # another test may have ensured
        }
        self.assertEqual(differ, {})

    def test_what_matters_to_an_orchestrator_is_not_taken_away(self):
        document = request("GET", "/capabilities").json()
        self.assertEqual(document["assessed_mode"], "full")
        self.assertEqual([name for name in KEPT if not document[name]], [])
        refused = [name for name in KEPT if self.hardened[name]["status"] != "yes"]
        self.assertEqual(refused, [])

    def test_either_placement_can_be_ensured(self):
        for placement in ("host", "scope"):
            answer = request("POST", "/cgroups/ensure", {"placement": placement})
            self.assertEqual(answer.status, 200, answer.body)

    def test_the_watchdog_is_fed_and_ends_a_daemon_that_hangs(self):
        self.drop_in("[Service]\nWatchdogSec=4\nRestartSec=0\n")
        pid, fed = shown("MainPID"), {shown("WatchdogTimestampMonotonic")}

        def three_times():
            fed.add(shown("WatchdogTimestampMonotonic"))
            return len(fed) > 3

        eventually(three_times, "it is fed")
        self.assertEqual(shown("MainPID"), pid)
        os.kill(int(pid), signal.SIGSTOP)
        eventually(lambda: shown("MainPID") not in ("0", pid), "systemd starts another", 40)
        self.assertEqual(shown("NRestarts"), "1")
        eventually(lambda: shown("ActiveState") == "active", "it is ready again")

    def test_a_reload_is_a_survey(self):
        before = request("GET", "/capabilities").json()["survey"]["generation"]
        systemctl("reload", UNIT.name)

        def generation():
            return request("GET", "/capabilities").json()["survey"]["generation"]

        eventually(lambda: generation() > before, "another survey")
        eventually(lambda: shown("ActiveState") == "active", "the reload has ended")

    def test_a_restart_loses_no_request(self):
        ends = threading.Event()
        counts, lost = [0] * CLIENTS, []

        def ask(number):
            while not ends.is_set():
                try:
                    with Connection(SOCKET if number % 2 else TCP) as client:
                        status = client.request("GET", "/healthz").status
                    if status != 200:
                        lost.append(status)
                except (OSError, EOFError, AssertionError) as failure:
                    lost.append(repr(failure))
                counts[number] += 1

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.callback(client.join, DEADLINE)
            stack.callback(ends.set)
            for client in clients:
                client.start()
            for _ in range(3):
                before, pid = list(counts), shown("MainPID")
                eventually(lambda: all(a > b for a, b in zip(counts, before)), "requests")
                systemctl("restart", UNIT.name)
                self.assertNotEqual(shown("MainPID"), pid)
        print(f"{sum(counts)} requests over 3 restarts, lost: {len(lost)}")
        self.assertEqual(lost, [])
