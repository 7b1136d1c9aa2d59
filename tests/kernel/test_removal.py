"""Removal by force, on the real kernel."""

import os
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import words  # noqa: E402
from daemon import eventually, needs_root  # noqa: E402
from tree_case import HostCase  # noqa: E402


STUCK_FILE = Path(__file__).resolve().parents[1] / "support" / "stuck_file.py"


class ForceCase(HostCase):
    def setUp(self):
        super().setUp()
        self.ensured()
        self.path = self.make("c1")

    def make(self, *names):
        path = self.parent.joinpath(*names)
        path.mkdir()
        return path

    def force(self, name="c1", value="true"):
        return self.daemon.request("DELETE", f"/cgroups/containers/{name}?force={value}")

    def assert_removed(self, answer, path):
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json(), {"id": path.name, "removed": True})
        self.assertFalse(path.exists())


@needs_root
class Force(ForceCase):
    def test_what_lives_in_it_is_killed_and_nobody_else(self):
        neighbour = self.live_in(self.make("c2"))
        process = self.live_in(self.path)
        self.assert_removed(self.force(), self.path)
        self.assertEqual(process.wait(10), -9)
        self.assertIsNone(neighbour.poll())

    def test_what_is_absent_stays_so(self):
        answer = self.force("c2")
        self.assertEqual(answer.json(), {"id": "c2", "removed": False})

    def test_force_false_is_as_without(self):
        self.live_in(self.path)
        pids, _ = self.assert_occupied(self.force(value="false"))
        self.assertEqual(len(pids), 1)
        self.assertEqual(pids, [int(pid) for pid in words(self.path / "cgroup.procs")])

    def test_another_value_or_parameter_is_refused(self):
        for query in ("force", "force=", "force=1", "force=TRUE", "force=true&force=true", "x=1"):
            answer = self.daemon.request("DELETE", f"/cgroups/containers/c1?{query}")
            self.assert_problem(answer, 400)
        self.assertTrue(self.path.exists())

    def test_a_process_that_forks_all_the_time_has_no_chance(self):
        bomb = "echo 0 > $0/cgroup.procs; while :; do sleep 100 & sleep 0.001; kill $! ; done"
        # Its children outlive it in the cgroup, were they not killed with it.
        process = self.enterContext(subprocess.Popen(["sh", "-c", bomb, str(self.path)]))
        self.daemon.eventually(lambda: len(words(self.path / "cgroup.procs")) > 1, "it forks")
        self.assert_removed(self.force(), self.path)
        self.assertEqual(process.wait(10), -9)

    def test_nested_and_frozen_cgroups_go_with_it(self):
        deepest = self.path
        for name in ("a", "b", "c"):
            deepest = deepest / name
            deepest.mkdir()
        (self.path / "d").mkdir()
        process = self.live_in(deepest)
        (self.path / "a" / "cgroup.freeze").write_text("1", encoding="ascii")
        self.assert_removed(self.force(), self.path)
        self.assertEqual(process.wait(10), -9)

    def test_many_at_once(self):
        paths = [self.make(f"many-{number}") for number in range(16)]
        processes = [self.live_in(path) for path in paths]
        with ThreadPoolExecutor(len(paths)) as pool:
            for answer, path in zip(pool.map(lambda path: self.force(path.name), paths), paths):
                self.assert_removed(answer, path)
        for process in processes:
            self.assertEqual(process.wait(10), -9)

    def test_the_daemon_does_not_kill_itself(self):
        (self.path / "cgroup.procs").write_text(str(self.daemon.pid), encoding="ascii")
        pids, _ = self.assert_occupied(self.force())
        self.assertEqual(pids, [self.daemon.pid])
        (self.tree.root / "cgroup.procs").write_text(str(self.daemon.pid), encoding="ascii")


@needs_root
class Stuck(ForceCase):
    """A process that waits for a file system which never answers survives SIGKILL (state D)."""

    def setUp(self):
        if not os.access("/dev/fuse", os.W_OK):
            self.skipTest("/dev/fuse cannot be opened")
        super().setUp()
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "file"
        file.touch()
        # The mount lives as long as its server; what reads the file is the server's child.
        reader = f'echo 0 > "{self.path}/cgroup.procs" && exec cat "{file}"'
        command = [sys.executable, STUCK_FILE, file, "sh", "-c", reader]
        self.server = self.enterContext(subprocess.Popen(command, stdout=subprocess.PIPE))
        self.addCleanup(self.let_go)
        self.assertEqual(self.server.stdout.readline(), b"stuck\n")
        self.pid = int(words(self.path / "cgroup.procs")[0])

    def let_go(self):
        """The file system ends with its server, and so does everybody's waiting."""
        self.server.kill()
        self.server.wait()

    def test_it_is_named_and_removed_in_the_background(self):
        document = self.assert_problem(self.force(), 504, "timed-out")
        self.assertEqual([one["pid"] for one in document["processes"]], [self.pid])
        self.assertTrue(self.containers()["c1"]["removing"])
        self.assertEqual(self.daemon.metrics().value("surveyd_cgroup_removals_pending"), 1)
        # Nobody else waits for it.
        other = self.make("c2")
        self.assert_removed(self.force("c2"), other)
        self.let_go()
        self.daemon.wait_for_log("container c1 is removed now", 30)
        self.assertFalse(self.path.exists())
        self.assertEqual(self.daemon.metrics().value("surveyd_cgroup_removals_pending"), 0)

    def test_a_later_container_of_the_same_name_is_another_one(self):
        self.assert_problem(self.force(), 504, "timed-out")
        self.let_go()
        eventually(lambda: not self.path.exists(), "it is gone", 30)
        again = self.live_in(self.make("c1"))
        self.assertFalse(self.containers()["c1"]["removing"])
        self.assertIsNone(again.poll())

    def test_the_daemon_ends_all_the_same(self):
        self.assert_problem(self.force(), 504, "timed-out")
        self.daemon.stop(5)
        self.assertTrue(self.path.exists())


if __name__ == "__main__":
    unittest.main()
