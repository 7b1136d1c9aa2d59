"""Files whose open never returns hold nobody up, however many probes they meet."""

import os
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import MOUNT  # noqa: E402
from daemon import Daemon, is_root  # noqa: E402

CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
V2_ONLY = ("unshare", "--mount", "sh", "-c", MOUNT + ' && exec "$@"', "sh")


class Hanging(unittest.TestCase):
    def setUp(self):
        self.tool = os.environ.get("SURVEYD_FUSEHANG")
        if not self.tool:
            raise unittest.SkipTest("SURVEYD_FUSEHANG is not set")
        if not is_root or not os.path.exists("/dev/fuse"):
            raise unittest.SkipTest("needs root and /dev/fuse")

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


if __name__ == "__main__":
    unittest.main()
