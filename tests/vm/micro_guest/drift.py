"""Controllers that somebody else takes away where there are several. The surveys' timer is set to
an hour: what is seen here was told by the kernel."""

import errno
import subprocess
import tempfile
import time

from cgroups import control
from test_drift import DriftCase
from tree_case import HostCase


class Withdrawn(DriftCase):
    def test_a_controller_cannot_be_withdrawn_from_the_root_alone(self):
        for name in sorted(self.tree.offered):
            with self.subTest(name), self.assertRaises(OSError) as refused:
                control(self.tree.root, "-", {name})
            self.assertEqual(refused.exception.errno, errno.EBUSY)
        self.assertEqual(self.daemon.request("POST", "/survey").status, 200)
        self.assertEqual(self.delegated(), self.tree.offered)
        self.assertEqual(self.drift(), 0)

    def test_one_that_is_withdrawn_at_every_level_is_seen_at_once_and_can_be_had_again(self):
        begun = time.monotonic()
        # It cannot be withdrawn while it is in use below.
        for level in (self.parent, self.tree.own, self.tree.root):
            control(level, "-", {"memory"})
        self.eventually_delegated(self.tree.offered - {"memory"})
        print(f"drift: seen after {(time.monotonic() - begun) * 1000:.0f} ms", flush=True)
        self.daemon.wait_for_log("has lost the controller memory")
        self.assertEqual(self.drift(), 1)

        self.assert_delegated(self.parent, self.ensured())
        self.eventually_delegated(self.tree.offered)
        self.assertEqual(self.drift(), 1)


class TakenByV1(HostCase):
    """A controller that is in use in a v1 hierarchy is not offered to anybody in v2."""

    def setUp(self):
        super().setUp()
        self.every = self.tree.offered
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.addCleanup(self.give_back)

    def take(self):
        command = ("mount", "-t", "cgroup", "-o", "pids", "none", self.directory)
        return subprocess.run(command, capture_output=True).returncode == 0

    def give_back(self):
        subprocess.run(("umount", self.directory), capture_output=True)
        self.daemon.eventually(lambda: self.tree.offered == self.every, "v2 has it again")

    def test_what_v1_has_is_left_out_and_had_once_it_is_free(self):
        self.assertTrue(self.take())
        self.assertEqual(self.tree.offered, self.every - {"pids"})
        self.assert_delegated(self.parent, self.ensured())
        self.give_back()
        self.assert_delegated(self.parent, self.ensured())

    def test_what_containers_have_cannot_be_taken(self):
        self.ensured()
        self.assertFalse(self.take())
        self.assertEqual(self.tree.enabled(self.parent), self.every)
