"""Files whose open never returns hold nobody up, however many probes they meet."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import MOUNT  # noqa: E402
from daemon import Daemon, is_root, program  # noqa: E402
from notify_socket import NotifySocket  # noqa: E402

CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
V2_ONLY = ("unshare", "--mount", "sh", "-c", MOUNT + ' && exec "$@"', "sh")
OLD, NEW = "the-token-of-the-start", "the-token-of-the-reload"


class Case(unittest.TestCase):
    def setUp(self):
        self.tool = os.environ.get("SURVEYD_FUSEHANG")
        if not self.tool:
            raise unittest.SkipTest("SURVEYD_FUSEHANG is not set")
        if not is_root or not os.path.exists("/dev/fuse"):
            raise unittest.SkipTest("needs root and /dev/fuse")


class Hanging(Case):
    @unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "a sanitizer takes its time")
    def test_a_cgroup_file_that_hangs_makes_findings_unknown_and_no_survey_late(self):
        prefix = (*V2_ONLY, sys.executable, self.tool, CONTROLLERS, "--")
        with Daemon(prefix=prefix, ready_line="listening on ") as daemon:
            daemon.wait_for_log("surveyed:")
            first = daemon.capabilities()["survey"]["duration_us"] / 1e6
            findings = daemon.request("GET", "/findings").json()["findings"]
            late = [one["id"] for one in findings if one["reason_code"] == "timed_out"]
            # One after the other, at 600 ms each, they would take more than twice as long.
            self.assertGreater(len(late), 2, findings)
            self.assertLess(first, 2, late)
            self.assertEqual({one["status"] for one in findings if one["id"] in late}, {"unknown"})
            self.assertIn("yes", {one["status"] for one in findings})
            for path in ("/healthz", "/metrics"):
                begun = time.monotonic()
                self.assertEqual(daemon.request("GET", path).status, 200)
                self.assertLess(time.monotonic() - begun, 0.5)
            begun = time.monotonic()
            daemon.stop()
            self.assertLess(time.monotonic() - begun, 5)

class Reload(Case):
    """A token file that hangs from the first SIGHUP on."""

    def setUp(self):
        super().setUp()
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.token, self.hanging = (os.path.join(self.directory, x) for x in ("token", "hanging"))
        Path(self.hanging).touch()
        self.point_token_to(self.write("old", OLD))
        self.manager = self.enterContext(NotifySocket(os.path.join(self.directory, "notify")))
        self.daemon = self.enterContext(
            Daemon(
                *("--tcp-mutations", "token", "--token-file", self.token, "--interval", "3600"),
                prefix=(sys.executable, self.tool, self.hanging, "--"),
                environment={**self.manager.environment, "WATCHDOG_USEC": "200000"},
            )
        )
        self.manager.until("READY=1")
        self.point_token_to(self.hanging)
        self.daemon.signal(signal.SIGHUP)
        self.manager.until("RELOADING=1")
        self.daemon.eventually(self.reads_in_vain, "somebody who reads the file")

    def write(self, name, text):
        path = Path(self.directory, name)
        path.write_text(text + "\n", encoding="ascii")
        path.chmod(0o600)
        return path

    def point_token_to(self, path):
        link = Path(self.directory, "link")
        link.symlink_to(path)
        link.rename(self.token)

    def reads_in_vain(self):
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{self.daemon.pid}/task").iterdir()
            if (task / "comm").read_text().strip() == "credentials"
        ]
        return states == ["D"]

    def let_go(self):
        """Who waits for the file is told that there is nobody to wait for."""
        pid = str(self.daemon.pid)
        umount = (program("nsenter"), "-t", pid, "-m", "umount", "--force", "--lazy", self.hanging)
        subprocess.run(umount, check=True)

    def change(self, token):
        headers = {"Authorization": f"Bearer {token}"}
        return self.daemon.request("POST", "/survey", headers).status

    def test_it_serves_and_surveys_meanwhile_and_the_watchdog_is_fed(self):
        self.daemon.eventually(lambda: self.daemon.generation() == 2, "the survey of the signal")
        begun = time.monotonic()
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)
        self.assertLess(time.monotonic() - begun, 0.5)
        self.assertEqual(self.change(OLD), 200)
        for _ in range(5):
            messages = self.manager.until("WATCHDOG=1")
            self.assertNotIn("READY=1", sum(messages, []))

    def test_sigterm_ends_it_all_the_same(self):
        begun = time.monotonic()
        self.daemon.stop()
        self.assertLess(time.monotonic() - begun, 5)
        self.manager.until("STOPPING=1")

    def test_signals_meanwhile_are_one_more_reload_and_the_last_one_ends_it(self):
        for _ in range(3):
            self.daemon.signal(signal.SIGHUP)
            self.manager.until("RELOADING=1")
        self.point_token_to(self.write("new", NEW))
        self.assertEqual(self.change(NEW), 403)
        self.let_go()
        self.daemon.wait_for_log("what was read before still holds")
        messages = self.manager.until("READY=1")
        self.assertNotIn("RELOADING=1", sum(messages, []))
        self.assertEqual((self.change(NEW), self.change(OLD)), (200, 403))
        self.manager.drain()
        self.assertEqual(self.manager.next(), ["WATCHDOG=1"])
        failed = [line for line in self.daemon.log if "still holds" in line]
        self.assertEqual(len(failed), 1, failed)


if __name__ == "__main__":
    unittest.main()
