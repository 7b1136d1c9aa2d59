"""Operations on the tree in which system calls are made to fail."""

import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
import unittest
from pathlib import Path

from cgroups import control, in_cgroup, remove, words
from daemon import needs_root
from fault_table import FaultTable
from tracing import Trace, thread_called
from tree_case import SCOPE, TreeCase, facts

ERRNOS = (
    *("EINTR", "EAGAIN", "EBUSY", "EROFS", "ENOSPC", "EPERM"),
    *("EACCES", "ENOENT", "ENODEV", "ESRCH", "EOPNOTSUPP"),
)
# A call that is interrupted for ever is no failure of the kernel's, and what it says for ever not to
# be there is not there.
LASTING = tuple(one for one in ERRNOS if one not in ("EINTR", "ENOENT", "ENODEV"))
# Outcomes that are no answer.
NOT_REACHED = "not reached"
NOT_ASKED = "n/a"
# Longer than a removal by force may take, shorter than the deadline that would hide a hang.
LONGEST = 12.0

DOCS = Path(__file__).resolve().parents[2] / "docs"
table = FaultTable(DOCS / "cgroup-faults.md", ERRNOS)


def mentions(text, path):
    """`text` names this cgroup, and not only one above or below it."""
    return re.search(rf"(?<![\w/.-]){re.escape(path)}(?![\w/-]|\.\w)", text) is not None


@unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "no strace below a sanitizer")
@unittest.skipUnless(
    os.environ.get("SURVEYD_FAULTS") or "--write" in sys.argv,
    "thousands of requests below strace: run with SURVEYD_FAULTS=1",
)
@needs_root
class Operation(TreeCase):
    """One operation, from a tree that `prepare` makes again for each call that fails."""

    maxDiff = None
    title = None
    method, target, body = "POST", "/cgroups/ensure", None
    cgroup_suffix = ""
    # What it answers when no call fails.
    status = 200
    # What fails each time, to make another kernel of this one.
    always = ()
    # Calls and errnos after which nobody can know better.
    unknowable = ()
    # What it answers when a call fails for longer than a caller waits.
    longest_failure = 503
    # The same calls each time, whatever else the machine does.
    exact = True
    # A daemon that has not been asked before, for each call that only its first request makes.
    always_new = False

    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.socket = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "s")
        self._running = self.enterContext(contextlib.ExitStack())
        self._pids = []
        self.set_up()
        if not self.always_new:
            self.start_daemon()
            # What only the first request of a daemon does is a case of its own.
            self.prepare()
            self.request()

    def set_up(self):
        """What the daemon needs to start."""

    def place(self):
        """The prefix that puts the daemon into its place."""
        return ()

    def start_daemon(self):
        name = self.tree.name + self.cgroup_suffix
        daemon = self.new_daemon(*self.place(), cgroup_name=name, unix_socket=self.socket)
        self.daemon = self._running.enter_context(daemon)
        self._pids.append(str(self.daemon.pid))
        self.worker = thread_called(self.daemon, "cgroups")

    def send(self, method, target, body=None):
        return self.daemon.request(method, target, body=body, address=self.socket)

    def request(self):
        body = None if self.body is None else json.dumps(self.body).encode()
        return self.send(self.method, self.target, body)

    def make_ready(self):
        if self.always_new:
            self._running.close()
            self.prepare()
            self.start_daemon()
        else:
            self.prepare()

    def prepare(self):
        raise NotImplementedError

    def assert_done(self, answer, before, after, errno):
        """A 200 says what is there. `before` is None when it answers an undisturbed request."""
        raise NotImplementedError

    def facts(self):
        """What is there, and where the processes are."""
        where = {(f"pid {pid}", self.path_of(pid)) for pid in self.watched()}
        return facts(self.tree) | where

    def watched(self):
        return [self.daemon.pid]

    def made(self, before, after):
        """The cgroups that are new."""
        known = {name for name, _ in before}
        return {name for name, _ in after if name.startswith("/")} - known

    # The matrix.

    def calls(self):
        """The calls of the operation when nothing fails."""
        self.make_ready()
        with Trace(self.worker, *self.options(self.always)) as trace:
            answer = self.request()
        self.assertEqual(answer.status, self.status, answer.body)
        calls = self.besides_later_ones(trace.calls) if self.always_new else trace.calls
        self.assertTrue(calls)
        return calls

    def besides_later_ones(self, calls):
        """Those that a later request does not make; it has its own case."""
        self.prepare()
        with Trace(self.worker) as trace:
            self.request()
        later = [self.shown(call) for call in trace.calls]
        own = []
        for call in reversed(calls):
            if self.shown(call) in later:
                later.remove(self.shown(call))
            else:
                own.insert(0, call)
        return own

    @staticmethod
    def options(failures):
        """For strace."""
        return [word for failure in failures for word in ("-e", f"inject={failure}")]

    def test_every_call_with_every_errno(self):
        rows, wrong = [], []
        calls = self.calls()
        descriptors = self.open_descriptors()
        for call in calls:
            outcomes = {}
            for errno in ERRNOS:
                try:
                    outcome = outcomes[errno] = self.outcome_of(call, errno)
                except AssertionError as failure:
                    wrong.append(f"{self.shown(call)} ({call.number}) {errno}: {failure}")
                    continue
                # A close that was not made closed nothing.
                descriptors += call.name == "close" and outcome != NOT_REACHED
            rows.append((self.shown(call), outcomes))
        # Each of them is one cell of the table.
        self.assertEqual(len(wrong), 0, "\n".join(["", *wrong]))
        if not self.always_new:
            self.daemon.eventually(
                lambda: self.open_descriptors() == descriptors, "no descriptor is leaked"
            )
        table.check(self, rows)

    def test_a_call_that_fails_from_then_on(self):
        errnos = itertools.cycle(LASTING)
        wrong = []
        # Without close, which would leave a descriptor open each time.
        for call in [one for one in self.calls() if one.name != "close"]:
            errno = next(errnos)
            if (call.name, errno) in self.unknowable:
                continue
            try:
                self.fail_from_then_on(call, errno)
            except AssertionError as failure:
                wrong.append(f"{self.shown(call)} ({call.number}+) {errno}: {failure}")
        self.assertEqual(len(wrong), 0, "\n".join(["", *wrong]))

    def failures(self, call, errno, lasting=""):
        """What strace makes fail."""
        return [f"{call.name}:error={errno}:when={call.number}{lasting}"]

    def injected(self, trace):
        """The calls that failed because this cell is about them."""
        return [self.shown(call) for call in trace.calls if call.injected]

    def outcome_of(self, call, errno):
        """One cell: the answer when this call fails so."""
        if (call.name, errno) in self.unknowable:
            return NOT_ASKED
        answer, trace = self.answer_when(errno, *self.failures(call, errno))
        injected = self.injected(trace)
        if self.exact:
            self.assertEqual(injected, [self.shown(call)])
        return self.outcome(answer) if injected else NOT_REACHED

    def fail_from_then_on(self, call, errno):
        _, trace = self.answer_when(errno, *self.failures(call, errno, "+"))
        self.assertTrue(self.injected(trace) or not self.exact)

    def answer_when(self, errno, *failures):
        """The answer when strace makes these calls fail, once all is as it has to be."""
        self.make_ready()
        before = self.facts()
        begun = time.monotonic()
        with Trace(self.worker, *self.options(failures)) as trace:
            answer = self.request()
        self.assertLess(time.monotonic() - begun, LONGEST)
        self.assert_answer(answer, errno, before, self.facts(), trace)
        self.assert_works_again(before)
        return answer, trace

    def outcome(self, answer):
        return str(answer.status)

    def assert_answer(self, answer, errno, before, after, trace):
        if answer.status == 200:
            self.assert_done(answer, before, after, errno)
            return
        document = self.assert_problem(answer, answer.status)
        if answer.status == 501:
            # That there is no cgroup v2 is what the kernel says here.
            self.assertIn(errno, ("ENOENT", "ENODEV"))
            for one in [call for call in trace.calls if call.injected]:
                self.assertRegex(self.shown(one), r"^\w+ (/|/proc/self/mountinfo)$")
        elif answer.status == 409:
            self.assertIn(document.get("errno"), (None, "EBUSY"))
        elif answer.status == 504:
            self.assertEqual(self.longest_failure, 504)
        else:
            self.assertEqual(answer.status, 503, document)
            self.assertEqual(document.get("errno"), errno, document)
            self.assertTrue(document["op"])
        self.assert_reported(document, before, after)
        self.assert_careful(errno, trace)

    def assert_reported(self, document, before, after):
        """Whatever differs is in the answer."""
        self.assertEqual({name for name, _ in before} - {name for name, _ in after}, set())
        text = document["detail"]
        made = self.made(before, after)
        moved = {f"pid {one['pid']}" for one in document.get("migrated", [])}
        moved.add(f"pid {self.daemon.pid}")
        for name, fact in after - before:
            named = mentions(text, fact if name.startswith("pid") else name)
            if name.startswith("pid"):
                named = named and name in moved
            # A cgroup that was made and stays is named; what is in it goes without saying.
            if fact.startswith("+") and name not in made:
                named = named and fact.lstrip("+") in text
            self.assertTrue(named, f"{name}: {fact} is not in {text!r}")

    def assert_careful(self, errno, trace):
        """Nothing was written over processes that could not be looked at."""

    def assert_works_again(self, before):
        """The next call finds nothing in its way."""
        answer = self.request()
        self.assertEqual(answer.status, self.status, answer.body)
        if answer.status == 200:
            self.assert_done(answer, None, self.facts(), None)

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def shown(self, call):
        """The call in words that are the same on every machine."""
        about = call.about.replace(self.tree.name + self.cgroup_suffix, "zlayer")
        about = about.replace(self.tree.name, "scope")
        about = re.sub(r"^/sys/fs/cgroup", "", about) or "/"
        about = re.sub(rf"^/proc/({'|'.join(self._pids)})/", "/proc/self/", about)
        about = re.sub(r"^/proc/\d+/", "/proc/<pid>/", about)
        about = re.sub(r"^(pipe|socket):.*", r"the \1", about)
        return f"{call.name} {about}"


class EnsureOperation(Operation):
    def test_what_cannot_be_undone_is_reported(self):
        wrong = []
        for call in self.calls():
            once = f"{call.name}:error=ENOSPC:when={call.number}"
            try:
                self.answer_when("ENOSPC", once, "unlinkat:error=EBUSY")
            except AssertionError as failure:
                wrong.append(f"{self.shown(call)} ({call.number}) ENOSPC: {failure}")
        self.assertEqual(len(wrong), 0, "\n".join(["", *wrong]))

    def assert_done(self, answer, before, after, errno):
        document = answer.json()
        parent = self.tree.root / document["container_parent"].lstrip("/")
        self.assertEqual(parent, self.parent)
        self.assertEqual(words(parent / "cgroup.type"), ["domain"])
        outcomes = document["controllers"]
        self.assertEqual(set(outcomes), self.tree.offered)
        enabled = {name for name, outcome in outcomes.items() if outcome == "enabled"}
        self.assertEqual(enabled, self.tree.enabled(parent))
        self.assertTrue(enabled)
        for name in set(outcomes) - enabled:
            self.assertTrue(outcomes[name]["reason"])
        if before is not None:
            self.assertEqual(set(document["created"]), self.made(before, after))
            self.assertEqual({name for name, _ in before} - {name for name, _ in after}, set())
            moved = {name for name, _ in after - before if name.startswith("pid")}
            self.assertEqual({f"pid {one['pid']}" for one in document["migrated"]}, moved)


class HostOperation(EnsureOperation):
    def set_up(self):
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")

    @property
    def parent(self):
        return self.tree.own / "containers"

    def prepare(self):
        remove(self.tree.own)
        self.tree.disable_again()


class ScopeOperation(EnsureOperation):
    body = SCOPE
    cgroup_suffix = "-host"

    def set_up(self):
        self.tree.enable_all()
        self.tree.own.mkdir()

    def place(self):
        return in_cgroup(self.tree.own)

    @property
    def leaf(self):
        return self.tree.own / "init"

    @property
    def parent(self):
        return self.tree.own / "containers"

    def prepare(self):
        """Everybody back in the undivided scope."""
        remove(self.parent)
        control(self.tree.own, "-", self.tree.enabled(self.tree.own))
        for pid in self.watched():
            self.move(pid, self.tree.own)
        remove(self.leaf)

    def assert_done(self, answer, before, after, errno):
        super().assert_done(answer, before, after, errno)
        self.assertEqual(self.path_of(self.daemon.pid), f"/{self.tree.name}/init")
        # Before Linux 5.7 cgroup2 keeps no such attributes.
        if before is not None and errno != "EOPNOTSUPP":
            self.assertIn((f"/{self.tree.name}/init", "mark 1"), after)


class SharedScopeOperation(ScopeOperation):
    """Others live in the scope."""

    def prepare(self):
        if not hasattr(self, "residents"):
            self.residents = [self.live_in(self.tree.own) for _ in range(2)]
        super().prepare()

    def watched(self):
        return [self.daemon.pid, *(resident.pid for resident in self.residents)]

    def assert_careful(self, errno, trace):
        if errno == "EOPNOTSUPP":
            return  # a threaded cgroup cannot list its processes, and refuses the write itself
        if all(self.path_of(pid).endswith("/init") for pid in self.watched()):
            return
        control_file = f"/{self.tree.name}/cgroup.subtree_control"
        written = [one for one in trace.calls if one.name == "write" and control_file in one.about]
        self.assertEqual(written, [])


class RemoveOperation(Operation):
    method, target = "DELETE", "/cgroups/containers/c1"
    made_before = ()

    def set_up(self):
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")

    @property
    def parent(self):
        return self.tree.own / "containers"

    @property
    def container(self):
        return self.parent / "c1"

    def prepare(self):
        if not self.parent.exists():
            self.assertEqual(self.send("POST", "/cgroups/ensure").status, 200)
        for name in self.made_before:
            (self.parent / name).mkdir(exist_ok=True)

    def outcome(self, answer):
        if answer.status != 200:
            return str(answer.status)
        return "200 removed" if answer.json()["removed"] else "200 absent"

    def assert_done(self, answer, before, after, errno):
        document = answer.json()
        self.assertEqual(document["id"], "c1")
        self.assertFalse(self.container.exists())
        if before is not None:
            there = any(name.endswith("/containers/c1") for name, _ in before)
            self.assertEqual(document["removed"], there)
            inside = f"/{self.tree.name}/containers/c1"
            gone = {name for name, _ in before - after}
            self.assertEqual([name for name in gone if not name.startswith(inside)], [])
            self.assertEqual(after - before, set())
