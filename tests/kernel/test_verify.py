"""Verification from outside: what hangs, who is killed, what is left behind, when results expire."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, eventually, is_root, run, with_descendants  # noqa: E402

CLONE_NEWNS = 0x20000
STUCK_FILE = Path(__file__).resolve().parents[1] / "support" / "stuck_file.py"
# A helper is in the middle of something for long enough to be met there: the claim of the device
# waits for it without a scratch directory, pasta with one.
HANGS = "tun_device_available"
VERIFY = b'{"verify": true}'


def hang(path):
    tool = os.environ.get("SURVEYD_FUSEHANG")
    if not tool:
        raise unittest.SkipTest("SURVEYD_FUSEHANG is not set")
    return (sys.executable, tool, path, "--")


def leftovers(directory):
    return sorted(Path(directory).glob(".surveyd-verify-*"))


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def in_mounts_of(pid, *command):
    """Runs a command in the mount namespace of a process."""

    def enter():
        fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
        if ctypes.CDLL(None).setns(fd, CLONE_NEWNS) != 0:
            raise OSError("setns")

    subprocess.run(command, preexec_fn=enter, check=True)


class VerifyCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not is_root:
            raise unittest.SkipTest("needs root")
        for device in ("/dev/fuse", "/dev/net/tun"):
            if not os.path.exists(device):
                raise unittest.SkipTest(f"there is no {device}")

    def setUp(self):
        self.storage = self.enterContext(tempfile.TemporaryDirectory())

    def start(self, *arguments, **more):
        more.setdefault("ready_line", "listening on ")
        return self.enterContext(Daemon("--storage", self.storage, *arguments, **more))

    def verify(self, daemon):
        return daemon.request("POST", "/survey", [("Content-Type", "application/json")],
                              VERIFY)

    def in_background(self, daemon):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.verify(daemon)))
        thread.start()
        self.addCleanup(thread.join)
        return thread, answers

    def findings(self, daemon):
        def answered():
            answer = daemon.request("GET", "/findings")
            return answer.status == 200 and answer.json()["findings"]

        return {one["id"]: one for one in daemon.eventually(answered, "a survey")}

    def verified(self, daemon):
        findings = self.findings(daemon).values()
        return {one["id"] for one in findings if one["basis"] == "verified"}

    def helper_of(self, daemon):
        def look():
            for pid in with_descendants(daemon.pid)[1:]:
                with contextlib.suppress(OSError):
                    if b"\0helper\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        return pid

        return daemon.eventually(look, "a helper process")


    def in_the_middle(self, helper):
        """The scratch directory of what does not end by itself."""

        def look():
            programs = set()
            for pid in with_descendants(helper)[1:]:
                with contextlib.suppress(OSError):
                    programs.add(Path(f"/proc/{pid}/comm").read_text().split(".")[0].strip())
            # It goes by either name, and starts itself again as passt.avx2.
            return programs & {"passt", "pasta"} and leftovers(self.storage)

        return eventually(look, "pasta waits for the device")


class CommandLine(VerifyCase):
    def test_a_survey_tries_what_can_be_tried_and_leaves_nothing(self):
        mounts = Path("/proc/self/mountinfo").read_text()
        answer = run("survey", "--verify", "--all", "--json", "--storage", self.storage)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        basis = {one["id"]: one["basis"] for one in json.loads(answer.stdout)["findings"]}
        self.assertEqual(basis["tun_device_available"], "verified")
        self.assertEqual(basis["is_root"], "claimed")
        self.assertEqual(os.listdir(self.storage), [])
        self.assertEqual(Path("/proc/self/mountinfo").read_text(), mounts)

    def test_check_tries_only_what_is_required(self):
        begun = time.monotonic()
        answer = run("check", "--require", "is_root,tun_device_available", "--verified")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertLess(time.monotonic() - begun, 3)

    def test_check_verified_is_about_what_is_required(self):
        answer = run("check", "--mode", "full", "--verified")
        self.assertEqual(answer.returncode, 2)

    def test_a_device_that_hangs_is_unknown_and_holds_nobody_up(self):
        begun = time.monotonic()
        answer = run("survey", "--all", "--json", prefix=hang("/dev/net/tun"))
        findings = {one["id"]: one for one in json.loads(answer.stdout)["findings"]}
        self.assertEqual(findings[HANGS]["status"], "unknown")
        self.assertEqual(findings[HANGS]["reason_code"], "timed_out")
        self.assertEqual(findings["is_root"]["status"], "yes")
        self.assertLess(time.monotonic() - begun, 5)

    def test_check_verified_says_that_a_trial_timed_out(self):
        answer = run("check", "--require", HANGS, "--verified", prefix=hang("/dev/net/tun"))
        self.assertEqual(answer.returncode, 1)
        self.assertIn("timed out", answer.stderr)

    @unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "a sanitizer needs /proc")
    def test_without_proc_the_binary_still_finds_itself(self):
        script = f'umount -l /proc && exec "$0" explain {HANGS} --verify --json'
        answer = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script,
             os.path.abspath(os.environ["SURVEYD_BIN"])],
            capture_output=True, text=True, timeout=30)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(json.loads(answer.stdout)["basis"], "verified", answer.stdout)

    def test_a_helper_is_no_command_for_people(self):
        self.assertNotIn("helper", run("--help").stdout)
        self.assertEqual(run("helper", "1", "verify").returncode, 2)


class Hangs(VerifyCase):
    """/dev/net/tun never answers."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start(prefix=hang("/dev/net/tun"))

    def test_it_ends_at_its_deadline_and_everything_else_is_answered(self):
        thread, answers = self.in_background(self.daemon)
        self.helper_of(self.daemon)
        slowest = 0
        generations = set()
        while thread.is_alive():
            begun = time.monotonic()
            for path in ("/healthz", "/metrics", "/capabilities"):
                self.daemon.request("GET", path)
            slowest = max(slowest, time.monotonic() - begun)
            self.daemon.request("POST", "/survey")
            generations.add(self.daemon.generation())
        self.assertEqual(answers[0].status, 200, answers[0].body)
        self.assertLess(slowest, 1)
        self.assertGreater(len(generations), 1)
        findings = self.findings(self.daemon)
        self.assertEqual(findings[HANGS]["status"], "unknown")
        self.assertEqual(findings[HANGS]["reason_code"], "timed_out")
        self.assertIn("overlayfs_rootfs_available", self.verified(self.daemon))

    def test_callers_share_one_run(self):
        pairs = [self.in_background(self.daemon) for _ in range(3)]
        helpers = set()
        while any(thread.is_alive() for thread, _ in pairs):
            for pid in with_descendants(self.daemon.pid)[1:]:
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                    if b"helper" in words and parent == self.daemon.pid:
                        helpers.add(pid)
        self.assertEqual(len(helpers), 1)
        generations = {answers[0].json()["survey"]["generation"] for _, answers in pairs}
        self.assertEqual(len(generations), 1)

    def test_a_helper_that_is_killed_leaves_unknown_and_a_daemon_that_lives(self):
        thread, answers = self.in_background(self.daemon)
        os.kill(self.helper_of(self.daemon), signal.SIGKILL)
        thread.join()
        self.assertEqual(answers[0].status, 200)
        finding = self.findings(self.daemon)[HANGS]
        # The claim of the daemon hangs as well, and then that is what is said.
        self.assertEqual(finding["status"], "unknown")
        overlay = self.findings(self.daemon)["overlayfs_rootfs_available"]
        self.assertEqual((overlay["status"], overlay["reason_code"]), ("unknown", "probe_failed"))
        self.assertIn("SIGKILL", overlay["reason"])
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)

    def test_sigterm_in_the_middle_ends_it_within_5_seconds(self):
        self.in_background(self.daemon)
        helper = self.helper_of(self.daemon)
        self.daemon.stop(5)
        eventually(lambda: is_gone(helper), "the helper is gone")

    def test_a_daemon_that_is_killed_takes_its_helper_with_it(self):
        daemon = Daemon("--storage", self.storage, prefix=hang("/dev/net/tun"),
                        ready_line="listening on ")
        daemon.__enter__()
        self.addCleanup(daemon._kill)
        with daemon.connect() as client:
            client.send_request("POST", "/survey", [("Content-Type", "application/json")],
                                VERIFY)
            self.in_the_middle(self.helper_of(daemon))
            below = with_descendants(daemon.pid)
            os.kill(daemon.pid, signal.SIGKILL)
        eventually(lambda: all(map(is_gone, below)), "the helper and its children are gone")
        self.assertEqual(leftovers(self.storage), [])

    def test_what_a_killed_helper_leaves_is_removed_by_the_next(self):
        self.in_background(self.daemon)
        helper = self.helper_of(self.daemon)
        abandoned = self.in_the_middle(helper)
        os.kill(helper, signal.SIGKILL)
        eventually(lambda: is_gone(helper), "the helper is gone")
        self.assertEqual(leftovers(self.storage), abandoned)
        run("check", "--require", "overlayfs_rootfs_available", "--verified", "--storage",
            self.storage)
        self.assertEqual(leftovers(self.storage), [])


class Stuck(VerifyCase):
    """/dev/net/tun has taken the request: whoever opens it is in state D and cannot be killed."""

    def test_it_is_left_behind_and_the_others_are_verified(self):
        with Daemon("--storage", self.storage, ready_line="listening on ",
                    prefix=(sys.executable, str(STUCK_FILE), "/dev/net/tun")) as daemon:
            answer = self.verify(daemon)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.findings(daemon)[HANGS]["reason_code"], "timed_out")
            self.assertIn("overlayfs_rootfs_available", self.verified(daemon))
            daemon.signal(signal.SIGTERM)
            daemon.wait_for_log("ended", 5)
            # A thread of the daemon's own is stuck, too, until the server of the file is gone.
            daemon.process.kill()
            daemon.process.wait()


class StorageHangs(VerifyCase):
    def test_only_what_needs_it_is_unknown(self):
        with Daemon("--storage", self.storage, prefix=hang(self.storage)) as daemon:
            answer = self.verify(daemon)
            self.assertEqual(answer.status, 200, answer.body)
            findings = self.findings(daemon)
            self.assertEqual(findings[HANGS]["basis"], "verified")
            self.assertEqual(findings[HANGS]["status"], "yes")
            for id, finding in findings.items():
                if id == "idmapped_mounts" or id.startswith("overlayfs_on_"):
                    self.assertEqual((finding["status"], finding["reason_code"]),
                                     ("unknown", "timed_out"), finding)
            self.assertIn("idmapped_mounts", findings)


class Expiry(VerifyCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start(
            prefix=("unshare", "-m", "--propagation", "private"), ready_line="surveyed:")
        self.assertEqual(self.verify(self.daemon).status, 200)
        self.assertIn(HANGS, self.verified(self.daemon))

    def mount(self, point):
        in_mounts_of(self.daemon.pid, "mount", "-t", "tmpfs", "none", point)
        self.assertEqual(self.daemon.request("POST", "/survey").status, 200)

    def test_results_outlive_surveys(self):
        before = self.findings(self.daemon)[HANGS]
        for _ in range(3):
            self.daemon.request("POST", "/survey")
        after = self.findings(self.daemon)[HANGS]
        self.assertEqual(after["basis"], "verified")
        self.assertEqual(after["checked_at"], before["checked_at"])

    def test_a_mount_that_nobody_asks_about_does_not_matter(self):
        os.mkdir(f"{self.storage}/merged")
        self.mount(f"{self.storage}/merged")
        self.assertIn(HANGS, self.verified(self.daemon))

    def test_a_mount_over_the_storage_path_ends_them(self):
        self.mount(self.storage)
        self.assertEqual(self.verified(self.daemon), set())

    def test_a_device_that_is_gone_ends_them(self):
        self.mount("/dev/net")
        self.assertEqual(self.verified(self.daemon), set())
        self.assertEqual(self.findings(self.daemon)[HANGS]["status"], "no")

    def test_verified_again_they_are_back(self):
        self.mount(self.storage)
        self.assertEqual(self.verify(self.daemon).status, 200)
        self.assertIn(HANGS, self.verified(self.daemon))


if __name__ == "__main__":
    unittest.main()
