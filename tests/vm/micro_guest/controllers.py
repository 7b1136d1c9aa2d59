"""Containers below a parent that has every controller: what surveyd prepared holds them."""

import os
import signal
import subprocess

from cgroups import control, in_cgroup, words
from tree_case import SCOPE, HostCase, TreeCase

NEEDED = {"cpuset", "cpu", "io", "memory", "pids"}
LIMITS = {"cpuset.cpus", "cpu.max", "io.max", "memory.max", "pids.max"}
# More than any of the limits below; it is written to, so that it counts.
ALLOCATE = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")


def counts(path):
    """A file of "name number" lines, like memory.events."""
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: int(number) for name, number in map(str.split, lines)}


def limit(path, file, value):
    (path / file).write_text(value, encoding="ascii")


class ContainersCase(HostCase):
    def setUp(self):
        super().setUp()
        self.document = self.ensured()

    def make(self, *names):
        path = self.parent.joinpath(*names)
        path.mkdir()
        return path

    def force(self, path):
        return self.daemon.request("DELETE", f"/cgroups/containers/{path.name}?force=true")

    def assert_removed(self, answer, path):
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json(), {"id": path.name, "removed": True})
        self.assertFalse(path.exists())


class AllControllers(ContainersCase):
    def test_the_container_parent_gets_every_controller(self):
        self.assertLessEqual(NEEDED, self.tree.offered)
        self.assert_delegated(self.parent, self.document)
        path = self.make("c1")
        self.assertLessEqual(LIMITS, {entry.name for entry in path.iterdir()})
        self.assertEqual(set(self.containers()["c1"]["controllers"]), self.tree.offered)
        # Nothing is enabled below a container: it is its own business.
        self.assertEqual(self.tree.enabled(path), set())

    def test_the_machine_is_assessed_as_full(self):
        document = self.daemon.capabilities()
        self.assertEqual(document["effective_mode"], "full")
        self.assertEqual(document["assessed_mode"], "full")
        self.assertEqual(document["disagreements"], [])

    def test_a_container_over_its_memory_limit_is_killed_and_its_cgroup_removed(self):
        path = self.make("c1")
        limit(path, "memory.max", "8M")
        bystander = self.live_in(path)
        hog = subprocess.run([*in_cgroup(path), *ALLOCATE], capture_output=True, timeout=30)
        self.assertEqual(hog.returncode, -signal.SIGKILL, hog.stderr)
        self.assertGreater(counts(path / "memory.events")["oom_kill"], 0)

        pids, _ = self.assert_occupied(self.remove("c1"))
        self.assertEqual(pids, [bystander.pid])
        self.assertIsNone(bystander.poll())
        self.end(bystander, path)
        self.assert_removed(self.remove("c1"), path)

    def test_a_limit_of_the_parent_holds_all_containers_together(self):
        limit(self.parent, "memory.max", "8M")
        hog = subprocess.run([*in_cgroup(self.make("c1")), *ALLOCATE], capture_output=True)
        self.assertEqual(hog.returncode, -signal.SIGKILL, hog.stderr)

    def test_one_fork_too_many_is_refused(self):
        path = self.make("c1")
        limit(path, "pids.max", "3")
        # dash gives up when it cannot fork; those that it made live on.
        fork = "sleep 60 & sleep 60 & sleep 60 & wait"
        shell = subprocess.Popen([*in_cgroup(path), "sh", "-c", fork], stderr=subprocess.DEVNULL)
        self.assertEqual(shell.wait(30), 2)
        self.assertEqual(counts(path / "pids.events")["max"], 1)
        self.assertEqual(len(words(path / "cgroup.procs")), 2)
        self.assert_removed(self.force(path), path)

    def test_a_container_is_held_to_its_processors_and_its_share(self):
        path = self.make("c1")
        limit(path, "cpuset.cpus", "1")
        limit(path, "cpu.max", "20000 100000")
        spinner = subprocess.Popen([*in_cgroup(path), "sh", "-c", "while :; do :; done"])
        self.addCleanup(spinner.wait)
        self.addCleanup(spinner.kill)
        throttled = "the kernel makes it wait"
        self.daemon.eventually(lambda: counts(path / "cpu.stat")["nr_throttled"] > 0, throttled)
        self.assertEqual(os.sched_getaffinity(spinner.pid), {1})
        self.assert_removed(self.force(path), path)


class Force(ContainersCase):
    def test_a_fork_bomb_at_its_limit_is_killed(self):
        path = self.make("c1")
        limit(path, "pids.max", "60")
        # Each one that finds room makes two more, and tries again for ever.
        bomb = "bomb() { bomb & bomb & wait; while :; do sleep 0.05 & wait; done; }; bomb"
        started = subprocess.Popen([*in_cgroup(path), "sh", "-c", bomb], stderr=subprocess.DEVNULL)
        self.addCleanup(started.wait)
        at_its_limit = "it is at its limit"
        self.daemon.eventually(lambda: counts(path / "pids.events")["max"] > 0, at_its_limit)
        self.assert_removed(self.force(path), path)
        self.assertEqual(started.wait(10), -signal.SIGKILL)

    def test_one_that_divided_itself_is_removed_with_all_its_controllers(self):
        path = self.make("c1")
        for names in (("a",), ("a", "b")):
            control(path.joinpath(*names[:-1]), "+", self.tree.offered)
            path.joinpath(*names).mkdir()
        process = self.live_in(path / "a" / "b")
        limit(path / "a", "cgroup.freeze", "1")
        frozen = "its processes stand still"
        events = path / "a" / "cgroup.events"
        self.daemon.eventually(lambda: counts(events)["frozen"] == 1, frozen)
        self.assert_removed(self.force(path), path)
        self.assertEqual(process.wait(10), -signal.SIGKILL)

    def test_threads_of_its_own_go_with_it(self):
        path = self.make("c1")
        threads = self.make("c1", "threads")
        limit(threads, "cgroup.type", "threaded")
        control(path, "+", {"cpu", "pids"})
        process = self.live_in(path)
        limit(threads, "cgroup.threads", str(process.pid))
        self.assertEqual(words(threads / "cgroup.threads"), [str(process.pid)])
        self.assert_removed(self.force(path), path)
        self.assertEqual(process.wait(10), -signal.SIGKILL)

    def test_one_at_its_memory_limit_is_killed_all_the_same(self):
        path = self.make("c1")
        # Nobody is killed for want of memory: whoever needs more waits, in the kernel, for ever.
        limit(path, "memory.high", "1M")
        limit(path, "memory.max", "16M")
        hungry = subprocess.Popen([*in_cgroup(path), *ALLOCATE], stderr=subprocess.DEVNULL)
        self.addCleanup(hungry.wait)
        held_back = "it is held back"
        self.daemon.eventually(lambda: counts(path / "memory.events")["high"] > 0, held_back)
        self.assert_removed(self.force(path), path)
        self.assertEqual(hungry.wait(10), -signal.SIGKILL)


class EvacuateAll(TreeCase):
    """A scope with every controller, in which others live beside the daemon."""

    def setUp(self):
        super().setUp()
        self.tree.enable_all()
        self.tree.own.mkdir()
        self.daemon = self.start(*in_cgroup(self.tree.own))
        self.parent = self.tree.own / "containers"

    def test_everybody_moves_into_the_leaf_and_the_parent_gets_every_controller(self):
        others = [self.live_in(self.tree.own) for _ in range(3)]
        pids = {one.pid for one in others}
        refused, _ = self.assert_occupied(self.ensure(SCOPE))
        self.assertEqual(set(refused), pids)
        document = self.ensured({**SCOPE, "evacuate": "all"})
        self.assertEqual({one["pid"] for one in document["migrated"]}, pids)
        self.assert_delegated(self.parent, document)
        for pid in {*pids, self.daemon.pid}:
            self.assertEqual(self.path_of(pid), f"/{self.tree.name}/init")
        self.assertTrue(all(one.poll() is None for one in others))

    def test_one_that_forks_all_the_time_is_caught(self):
        forking = "while :; do sleep 0 & wait; done"
        restless = subprocess.Popen([*in_cgroup(self.tree.own), "sh", "-c", forking])
        self.addCleanup(restless.wait)
        self.addCleanup(restless.kill)
        procs = self.tree.own / "cgroup.procs"
        self.daemon.eventually(lambda: str(restless.pid) in words(procs), "it lives in the scope")
        document = self.ensured({**SCOPE, "evacuate": "all"})
        self.assertIn(restless.pid, [one["pid"] for one in document["migrated"]])
        self.assert_delegated(self.parent, document)
        self.assertEqual(words(self.tree.own / "cgroup.procs"), [])

    def test_only_threaded_controllers_are_no_reason_to_make_a_thread_root(self):
        self.tree.disable_again()
        control(self.tree.root, "+", {"cpu", "pids"})
        other = self.live_in(self.tree.own)
        # The kernel would take both over the head of this process.
        pids, _ = self.assert_occupied(self.ensure(SCOPE))
        self.assertEqual(pids, [other.pid])
        self.assertEqual(words(self.tree.own / "cgroup.type"), ["domain"])
        self.assertEqual(self.tree.enabled(self.tree.own), set())
