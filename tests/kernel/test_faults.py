"""Each system call that changes of the tree make, failing with each errno that it may fail with.

strace is attached to the one thread of the daemon that changes the tree, for one request: the n-th
call of a name fails, the daemon answers, and the tree is read back. What it answers is the table in
docs/cgroup-faults.md; `python3 tests/kernel/test_faults.py --write` writes that anew.
"""

import dataclasses
import os
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

# Not their names: unittest would run the bases too.
import fault_case  # noqa: E402
from cgroups import control, in_cgroup, remove  # noqa: E402
from tree_case import HOST, LEAF_MARK, SCOPE  # noqa: E402


class HostFromNothing(fault_case.HostOperation):
    title = "ensure: host placement, nothing is there"


class HostFirstRequest(fault_case.HostOperation):
    title = "ensure: host placement, what the first request does besides"
    always_new = True


class HostAgain(fault_case.HostOperation):
    title = "ensure: host placement, everything is there"

    def prepare(self):
        super().prepare()
        self.assertEqual(self.request().status, 200)
        (self.parent / "c1").mkdir()


class ScopeFromNothing(fault_case.ScopeOperation):
    title = "ensure: scope placement, the scope is not divided"


class ScopeAgain(fault_case.ScopeOperation):
    title = "ensure: scope placement, everything is there"

    def prepare(self):
        super().prepare()
        self.assertEqual(self.request().status, 200)
        (self.parent / "c1").mkdir()


class ScopeAfterRestart(fault_case.ScopeOperation):
    title = "ensure: scope placement, what the first request of a daemon in its leaf does besides"
    always_new = True
    # A kernel before 5.7 keeps no mark on the leaf.
    unknowable = (("fgetxattr", "EOPNOTSUPP"),)

    def set_up(self):
        self.tree.enable_all()

    def place(self):
        return in_cgroup(self.leaf)

    def prepare(self):
        """What a daemon before this one has left."""
        remove(self.tree.own)
        for path in (self.tree.own, self.leaf, self.parent):
            path.mkdir()
        os.setxattr(self.leaf, LEAF_MARK, b"1")
        for path in (self.tree.own, self.parent):
            control(path, "+", self.tree.offered)

    def besides_later_ones(self, calls):
        """Until it knows where it is: a later request knows the leaf's inode, too."""
        about = [self.shown(call) for call in calls]
        return calls[: about.index("openat2 /scope/cgroup.controllers")]


class ScopeOccupied(fault_case.SharedScopeOperation):
    title = "ensure: scope placement, others live in the scope"
    status = 409

    def assert_done(self, answer, before, after, errno):
        self.fail(f"it cannot have been done: {answer.body}")


class ScopeEvacuated(fault_case.SharedScopeOperation):
    title = "ensure: scope placement, others live in the scope and are evacuated"
    body = {**SCOPE, "evacuate": "all"}

    def assert_done(self, answer, before, after, errno):
        super().assert_done(answer, before, after, errno)
        for pid in self.watched():
            self.assertEqual(self.path_of(pid), f"/{self.tree.name}/init")


class RemoveEmpty(fault_case.RemoveOperation):
    title = "remove: an empty container"
    made_before = ("c1",)


class RemoveAbsent(fault_case.RemoveOperation):
    title = "remove: a container that is not there"


class RemoveNested(fault_case.RemoveOperation):
    title = "remove: a container with a child"
    made_before = ("c1", "c1/child")
    status = 409

    def assert_done(self, answer, before, after, errno):
        self.fail(f"it cannot have been done: {answer.body}")


class RemoveFromEarlierPlacement(fault_case.RemoveOperation):
    title = "remove: a container below the parent of an earlier placement"
    cgroup_suffix = "-host"

    def set_up(self):
        super().set_up()
        self.tree.enable_all()
        self.addCleanup(remove, self.tree.root / (self.tree.name + self.cgroup_suffix))

    def place(self):
        return in_cgroup(self.tree.make())

    def prepare(self):
        if not self.parent.exists():
            for placement in (SCOPE, HOST):
                self.assertEqual(self.ensure(placement).status, 200)
        self.container.mkdir(exist_ok=True)


class RemoveNestedByForce(fault_case.RemoveOperation):
    title = "remove by force: a container with children"
    target = "/cgroups/containers/c1?force=true"
    made_before = ("c1", "c1/child", "c1/child/grandchild", "c1/other")
    longest_failure = 504

    def assert_reported(self, document, before, after):
        """What was asked for has been begun, and nothing else."""
        inside = f"/{self.tree.name}/containers/c1/"
        changed = {name for name, _ in before ^ after}
        self.assertEqual([name for name in changed if not name.startswith(inside)], [])


class RemovePopulatedByForce(RemoveNestedByForce):
    title = "remove by force: a container with processes"
    made_before = ("c1", "c1/child")
    # How soon killed processes are gone is up to the scheduler.
    exact = False
    killed = ()

    def prepare(self):
        for process in self.killed:
            process.kill()
            process.communicate()
        super().prepare()
        self.killed = [self.live_in(self.parent / name) for name in self.made_before]

    def assert_done(self, answer, before, after, errno):
        super().assert_done(answer, before, after, errno)
        for process in self.killed:
            self.assertEqual(process.wait(fault_case.LONGEST), -signal.SIGKILL)


class RemoveWithoutCgroupKill(RemovePopulatedByForce):
    """Before Linux 5.14: each process by its descriptor, in a frozen cgroup."""

    title = "remove by force: a container with processes, without cgroup.kill"
    # The first write is the one to cgroup.kill.
    always = ("write:error=ENOENT:when=1",)

    def calls(self):
        calls = super().calls()
        self.assertIn("pidfd_send_signal", [call.name for call in calls])
        self.kill_file = next(call for call in calls if call.about.endswith("/cgroup.kill"))
        # From the refused write to the one that thaws; the rest is as with cgroup.kill.
        first, *_, last = [at for at, call in enumerate(calls) if call.name == "write"]
        own = calls[first + 1 : last + 1]
        return [call for call in own if call.about != self.kill_file.about]

    def failures(self, call, errno, lasting=""):
        if call.name != "write":
            return [*super().failures(call, errno, lasting), *self.always]
        # strace takes one failure for each name. Here the file cannot even be opened, and this
        # write is one earlier.
        call = dataclasses.replace(call, number=call.number - 1)
        missing = f"openat2:error=ENOENT:when={self.kill_file.number}"
        return [*super().failures(call, errno, lasting), missing]

    def injected(self, trace):
        return [one for one in super().injected(trace) if not one.endswith("/cgroup.kill")]


if __name__ == "__main__":
    fault_case.table.rewrite = "--write" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--write"]
    unittest.main()
