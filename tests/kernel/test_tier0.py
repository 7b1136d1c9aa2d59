"""The cgroup operations on the real kernel, in the machine's own tree."""

import contextlib
import functools
import itertools
import json
import os
import re
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import (  # noqa: E402
    PRIVATE_NAMESPACE,
    READ_ONLY,
    control,
    enter,
    in_cgroup,
    words,
)
from daemon import (  # noqa: E402
    DaemonCase,
    is_root,
    needs_root,
    program,
    public_binary,
)
from tree_case import HOST, SCOPE, HostCase, TreeCase  # noqa: E402
from users import call  # noqa: E402

AUTO = {"placement": "auto"}


@needs_root
class HostPlacement(HostCase):
    def test_ensure_makes_the_parent_with_every_offered_controller(self):
        document = self.ensured()
        self.assertEqual(document["container_parent"], f"/{self.tree.name}/containers")
        self.assertEqual(document["placement"], "host")
        self.assertEqual(document["migrated"], [])
        self.assertTrue(self.parent.is_dir())
        for path in (self.tree.root, self.tree.own, self.parent):
            self.assertLessEqual(self.tree.offered, self.tree.enabled(path))
        self.assert_delegated(self.parent, document)

    def test_what_was_created_is_said_outermost_first(self):
        created = self.ensured(HOST)["created"]
        self.assertEqual(created, [f"/{self.tree.name}", f"/{self.tree.name}/containers"])

    def test_a_second_ensure_creates_nothing_and_says_so(self):
        first = self.ensured()
        before = self.tree.names()
        second = self.ensured()
        self.assertEqual(second, {**first, "created": []})
        self.assertEqual(self.tree.names(), before)

    def test_auto_means_host_at_the_real_root(self):
        self.assertEqual(self.ensured(AUTO)["placement"], "host")

    def test_the_daemon_stays_where_it_is(self):
        before = self.path_of(self.daemon.pid)
        self.ensured()
        self.assertEqual(self.path_of(self.daemon.pid), before)

    def test_the_directories_are_0755(self):
        self.ensured()
        for path in (self.tree.own, self.parent):
            self.assertEqual(oct(path.stat().st_mode & 0o777), oct(0o755))

    def test_ensure_makes_only_what_is_missing(self):
        self.ensured()
        self.parent.rmdir()
        self.assertEqual(self.ensured()["created"], [f"/{self.tree.name}/containers"])

    def test_ensure_repairs_a_controller_that_was_withdrawn(self):
        self.ensured()
        control(self.parent, "-", self.tree.offered)
        document = self.ensured()
        self.assertEqual(document["created"], [])
        self.assert_delegated(self.parent, document)

    def test_each_survey_says_what_is_still_delegated(self):
        name = "surveyd_cgroup_controller_delegated"

        def delegated():
            self.assertEqual(self.daemon.request("POST", "/survey").status, 200)
            metrics = self.daemon.metrics()
            labels = [labels["controller"] for labels in metrics.label_sets(name)]
            return {one for one in labels if metrics.value(name, controller=one)}

        self.assertEqual(delegated(), set())
        self.ensured()
        every = {labels["controller"] for labels in self.daemon.metrics().label_sets(name)}
        known = every & self.tree.offered
        self.assertEqual(delegated(), known)
        withdrawn = sorted(self.tree.offered)[0]
        control(self.parent, "-", {withdrawn})
        self.assertEqual(delegated(), known - {withdrawn})

    def test_concurrent_calls_create_once(self):
        with ThreadPoolExecutor(8) as pool:
            documents = list(pool.map(lambda _: self.ensured(), range(8)))
        self.assertEqual(sorted(len(one["created"]) for one in documents), [0] * 7 + [2])

    def test_a_limit_of_the_kernel_is_503_with_its_errno_and_leaves_nothing(self):
        self.tree.own.mkdir()
        (self.tree.own / "cgroup.max.descendants").write_text("0", encoding="ascii")
        document = self.assert_problem(self.ensure(), 503)
        self.assertEqual(document["errno"], "EAGAIN")
        self.assertEqual(document["op"], "mkdir")
        self.assertTrue(document["path"].endswith(f"/{self.tree.name}/containers"), document)
        self.assertFalse(self.parent.exists())
        self.assertTrue(self.tree.own.exists())

    def test_scope_placement_at_the_root_is_501_and_makes_nothing(self):
        if self.path_of(self.daemon.pid) != "/":
            self.skipTest("this process is not in the root cgroup")
        self.assert_problem(self.ensure(SCOPE), 501)
        self.assertFalse((self.tree.root / "init").exists())
        self.assertEqual(self.tree.names(), set())

    def test_operations_are_counted_by_result(self):
        self.ensured()
        (self.parent / "c1" / "child").mkdir(parents=True)
        self.remove("c1")
        counted = {
            (labels["operation"], labels["result"]): value
            for name, labels, value in self.daemon.metrics().samples
            if name == "surveyd_cgroup_operations_total" and value > 0
        }
        self.assertEqual(counted, {("ensure", "ok"): 1, ("remove", "refused"): 1})


@needs_root
class Containers(HostCase):
    def setUp(self):
        super().setUp()
        self.ensured()

    def make(self, name):
        path = self.parent / name
        path.mkdir()
        return path

    def test_before_ensure_there_is_no_parent_and_no_container(self):
        self.parent.rmdir()
        document = self.daemon.request("GET", "/cgroups").json()
        self.assertEqual(document["containers"], [])
        self.assertFalse(self.parent.exists())

    def test_a_cgroup_below_the_parent_is_listed(self):
        self.make("c1")
        expected = {
            "id": "c1",
            "populated": False,
            "processes": 0,
            "nested": 0,
            "controllers": sorted(self.tree.offered),
            "orphaned": False,
            "removing": False,
        }
        listed = self.containers()["c1"]
        listed["controllers"].sort()
        self.assertEqual({name: listed[name] for name in expected}, expected)

    def test_processes_and_children_are_counted(self):
        path = self.make("c1")
        (path / "child").mkdir()
        self.live_in(path)
        one = self.containers()["c1"]
        self.assertEqual((one["populated"], one["processes"], one["nested"]), (True, 1, 1))

    def test_a_process_further_down_counts_as_populated(self):
        path = self.make("c1")
        (path / "child").mkdir()
        self.live_in(path / "child")
        one = self.containers()["c1"]
        self.assertEqual((one["populated"], one["processes"], one["nested"]), (True, 0, 1))

    def test_a_name_of_any_bytes_is_listed_as_json(self):
        os.mkdir(os.fsencode(self.parent) + b"/\x1b[2J\xff")
        self.assertEqual(self.daemon.request("GET", "/cgroups").status, 200)
        self.assertEqual(len(self.containers()), 1)

    def test_removing_says_true_once_then_false(self):
        path = self.make("c1")
        for removed in (True, False):
            answer = self.remove("c1")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json(), {"id": "c1", "removed": removed})
            self.assertFalse(path.exists())
        self.assertTrue(self.parent.is_dir())

    def test_a_populated_one_is_409_and_names_the_process(self):
        path = self.make("c1")
        process = self.live_in(path)
        pids, _ = self.assert_occupied(self.remove("c1"))
        self.assertEqual(pids, [process.pid])
        self.assertIsNone(process.poll())
        self.end(process, path)
        self.assertEqual(self.remove("c1").json(), {"id": "c1", "removed": True})

    def test_one_with_a_child_is_409_and_names_the_child(self):
        path = self.make("c1")
        (path / "child").mkdir()
        pids, children = self.assert_occupied(self.remove("c1"))
        self.assertEqual(pids, [])
        self.assertEqual(children, [f"/{self.tree.name}/containers/c1/child"])
        self.assertTrue((path / "child").is_dir())

    def test_a_process_of_a_child_is_named_too(self):
        path = self.make("c1")
        (path / "child").mkdir()
        process = self.live_in(path / "child")
        pids, children = self.assert_occupied(self.remove("c1"))
        self.assertEqual(pids, [process.pid])
        self.assertEqual(len(children), 1)

    def test_names_of_kernel_files_are_refused(self):
        files = [entry.name for entry in self.parent.iterdir() if entry.is_file()]
        self.assertIn("cgroup.procs", files)
        for name in files:
            with self.subTest(name):
                self.assert_problem(self.remove(name), 400)

    def test_nothing_outside_of_the_parent_is_removed(self):
        victim = self.tree.make("victim")
        for name in ("../victim", "..%2fvictim", "c1/../../victim", "..", ".", ""):
            with self.subTest(name):
                self.assertIn(self.remove(name).status, (400, 404))
        self.assertTrue(victim.is_dir())


@needs_root
class ContainerCallers(HostCase):
    """Root of a container that shares the host's network is not the host's root."""

    CHANGES = (
        ("POST", "/survey"),
        ("POST", "/cgroups/ensure"),
        ("DELETE", "/cgroups/containers/x"),
    )

    def setUp(self):
        super().setUp()
        self.ensured()

    def from_inside(self, path, method, target, address=None):
        act = functools.partial(self.daemon.request, method, target, address=address)
        return call(act, prepare=lambda: enter(path))

    def test_a_socket_made_in_a_container_may_not_change_anything(self):
        for path in (self.parent / "c1", self.parent / "c1" / "nested"):
            path.mkdir()
            for address, (method, target) in itertools.product(self.daemon.addresses, self.CHANGES):
                with self.subTest(f"{method} {target}", path=path.name, address=address):
                    answer = self.from_inside(path, method, target, address)
                    detail = self.assert_problem(answer, 403, "forbidden")["detail"]
                    self.assertIn("container", detail)

    def test_it_may_read(self):
        (self.parent / "c1").mkdir()
        for target in ("/capabilities", "/metrics"):
            self.assertEqual(self.from_inside(self.parent / "c1", "GET", target).status, 200)

    def test_a_socket_made_in_a_container_that_is_gone_is_refused(self):
        path = self.parent / "c1"
        path.mkdir()
        answer = call(lambda: self.survey_from_a_removed(path))
        self.assert_problem(answer, 403, "forbidden")

    def test_a_container_that_uses_up_the_descriptors_is_refused_all_the_same(self):
        container = self.parent / "c1"
        container.mkdir()
        self.daemon.stop()
        limit = 48
        limited = ("sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh")
        for size in range(limit // 2, limit):
            # A new daemon each time: what it has opened already does not have to be opened again.
            with self.new_daemon(*limited) as self.daemon:
                survey = functools.partial(self.survey_among, size)
                status = call(survey, prepare=lambda: enter(container))
                if status is None:
                    return
                self.assertEqual(status, 403, f"with {size} other connections")

    def survey_among(self, size):
        """The status of a POST /survey beside other connections; None when they were too many."""
        with contextlib.ExitStack() as stack:
            first, *others = [stack.enter_context(self.daemon.connect()) for _ in range(size + 1)]
            try:
                answers = [one.request("GET", "/healthz").status for one in (first, *others)]
            except (OSError, EOFError):
                return None
            if set(answers) != {200}:
                return None
            return first.request("POST", "/survey").status

    def test_root_beside_the_container_parent_may(self):
        outside = self.tree.make("outside")
        for method, target in self.CHANGES:
            with self.subTest(f"{method} {target}"):
                self.assertEqual(self.from_inside(outside, method, target).status, 200)


@needs_root
class ScopePlacement(TreeCase):
    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.tree.enable_all()
        self.tree.own.mkdir()
        self.daemon = self.start(*in_cgroup(self.tree.own))
        self.leaf, self.parent = self.tree.own / "init", self.tree.own / "containers"
        self.scope = self.path_of(self.daemon.pid)

    def test_the_daemon_moves_into_the_leaf_and_the_parent_is_its_sibling(self):
        document = self.ensured(SCOPE)
        self.assertEqual(document["placement"], "scope")
        self.assertEqual(document["container_parent"], f"{self.scope}/containers")
        self.assertEqual(document["created"], [f"{self.scope}/init", f"{self.scope}/containers"])
        self.assertEqual([one["pid"] for one in document["migrated"]], [self.daemon.pid])
        self.assert_delegated(self.parent, document)
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init")

    def test_its_own_path_ends_in_init_for_the_survey_too(self):
        self.ensured(SCOPE)
        document = self.daemon.request("POST", "/survey").json()
        self.assertEqual(document["cgroup_parent"], f"{self.scope}/init")
        self.assertTrue(document["is_nested"])

    def test_the_scope_stays_a_domain(self):
        self.ensured(SCOPE)
        for path in (self.tree.own, self.leaf, self.parent):
            self.assertEqual(words(path / "cgroup.type"), ["domain"])

    def test_a_second_call_creates_and_moves_nothing(self):
        first = self.ensured(SCOPE)
        before = self.tree.names()
        second = self.ensured(SCOPE)
        self.assertEqual(second, {**first, "created": [], "migrated": []})
        self.assertEqual(self.tree.names(), before)
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init")

    def test_a_restarted_daemon_finds_the_same_tree(self):
        first = self.ensured(SCOPE)
        (self.parent / "c1").mkdir()
        self.daemon.stop()
        self.daemon = self.start(*in_cgroup(self.leaf))
        listed = self.daemon.request("GET", "/cgroups").json()
        self.assertEqual(listed["container_parent"], first["container_parent"])
        self.assertEqual([one["id"] for one in listed["containers"]], ["c1"])
        again = self.ensured(SCOPE)
        self.assertEqual(again, {**first, "created": [], "migrated": []})
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init")
        self.assertFalse((self.leaf / "init").exists())

    def test_a_leaf_that_is_only_called_init_is_a_scope_of_its_own(self):
        foreign = self.tree.make("init")
        self.daemon.stop()
        self.daemon = self.start(*in_cgroup(foreign))
        # The controllers have to reach it; nobody lives in the level above any more.
        control(self.tree.own, "+", self.tree.offered)
        document = self.ensured(SCOPE)
        self.assertEqual(document["container_parent"], f"{self.scope}/init/containers")
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init/init")

    def test_containers_are_listed_and_removed_there(self):
        self.ensured(SCOPE)
        (self.parent / "c1").mkdir()
        self.assertIn("c1", self.containers())
        self.assertEqual(self.remove("c1").json(), {"id": "c1", "removed": True})

    def test_another_process_in_the_scope_is_409_and_named(self):
        process = self.live_in(self.tree.own)
        answer = self.ensure(SCOPE)
        pids, _ = self.assert_occupied(answer)
        self.assertEqual(pids, [process.pid])
        self.assertIsNone(process.poll())
        self.assertEqual(self.path_of(process.pid), self.scope)
        self.assertFalse(self.parent.exists())

    def test_it_says_that_it_stays_in_its_leaf_then(self):
        self.live_in(self.tree.own)
        detail = self.assert_problem(self.ensure(SCOPE), 409)["detail"]
        self.assertIn(f"{self.scope}/init", detail)
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init")

    def test_it_works_once_the_other_process_is_gone(self):
        process = self.live_in(self.tree.own)
        self.assertEqual(self.ensure(SCOPE).status, 409)
        self.end(process, self.tree.own)
        document = self.ensured(SCOPE)
        self.assertEqual(document["created"], [f"{self.scope}/containers"])
        self.assertEqual(document["migrated"], [])

    def test_a_scope_that_is_offered_no_controller_gets_a_parent_without_any(self):
        self.tree.disable_again()
        if words(self.tree.own / "cgroup.controllers"):
            self.skipTest("the root offers controllers to everybody here")
        self.assertEqual(self.ensured(SCOPE)["controllers"], {})
        self.assertTrue(self.parent.is_dir())


@needs_root
class DelegatedScope(TreeCase):
    """A daemon of an ordinary user in a cgroup that was given to this user."""

    OWNER = 65532

    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.tree.enable_all()
        self.tree.own.mkdir()
        for name in (".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(self.tree.own / name, self.OWNER, self.OWNER)
        user = (program("setpriv"), "--reuid", str(self.OWNER), "--regid", str(self.OWNER))
        self.daemon = self.start(
            *in_cgroup(self.tree.own),
            *user,
            "--clear-groups",
            cgroup_name=f"{self.tree.name}-host",
            executable=public_binary(self.enterContext(tempfile.TemporaryDirectory())),
        )
        self.scope = self.path_of(self.daemon.pid)

    def test_it_may_divide_its_scope(self):
        document = self.ensured()
        self.assertEqual(document["placement"], "scope")
        self.assertEqual(document["created"], [f"{self.scope}/init", f"{self.scope}/containers"])
        self.assert_delegated(self.tree.own / "containers", document)
        self.assertEqual(self.path_of(self.daemon.pid), f"{self.scope}/init")

    def test_a_second_call_creates_and_moves_nothing(self):
        first = self.ensured()
        self.assertEqual(self.ensured(), {**first, "created": [], "migrated": []})

    def test_host_placement_is_refused_and_makes_nothing(self):
        answer = self.ensure(HOST)
        if self.tree.is_real_root:
            self.assertEqual(self.assert_problem(answer, 503)["errno"], "EACCES")
        else:
            self.assert_problem(answer, 501)
        self.assertFalse((self.tree.root / f"{self.tree.name}-host").exists())

    def test_root_in_a_container_is_refused_by_it_too(self):
        self.ensured()
        container = self.tree.make("containers", "c1")
        survey = functools.partial(self.daemon.request, "POST", "/survey")
        answer = call(survey, prepare=lambda: enter(container))
        self.assert_problem(answer, 403, "forbidden")

    def test_a_socket_made_in_a_container_that_is_gone_is_refused_by_it_too(self):
        self.ensured()
        container = self.tree.make("containers", "c1")
        answer = call(lambda: self.survey_from_a_removed(container))
        self.assert_problem(answer, 403, "forbidden")


@needs_root
class PrivateCgroupNamespace(TreeCase):
    """`/proc/self/cgroup` says `0::/` and `cgroup.type` exists: the root of a container."""

    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.tree.enable_all()
        self.tree.own.mkdir()
        self.daemon = self.start(*in_cgroup(self.tree.own), *PRIVATE_NAMESPACE)

    def test_it_looks_like_the_root(self):
        document = self.daemon.capabilities()
        self.assertIsNone(document["cgroup_parent"])
        self.assertFalse(document["is_nested"])

    def test_it_is_never_assessed_as_full(self):
        document = self.daemon.capabilities()
        self.assertNotEqual(document["assessed_mode"], "full")
        if document["effective_mode"] == "full":
            fields = [one["field"] for one in document["disagreements"]]
            self.assertIn("is_nested", fields)

    def test_host_placement_is_501_and_makes_nothing(self):
        self.assert_problem(self.ensure(HOST), 501, "no-usable-cgroup2")
        self.assertEqual(self.tree.names(), {self.tree.name})

    def test_scope_placement_divides_the_root_of_the_namespace(self):
        document = self.ensured(SCOPE)
        self.assertEqual(document["container_parent"], "/containers")
        self.assertEqual(document["created"], ["/init", "/containers"])
        self.assert_delegated(self.tree.own / "containers", document)
        self.assertEqual(self.path_of(self.daemon.pid), f"/{self.tree.name}/init")

    def test_auto_means_scope_here(self):
        self.assertEqual(self.ensured()["placement"], "scope")

    def test_a_second_call_creates_and_moves_nothing(self):
        first = self.ensured()
        self.assertEqual(self.ensured(), {**first, "created": [], "migrated": []})

    def test_containers_are_listed_and_removed_there(self):
        self.ensured()
        (self.tree.own / "containers" / "c1").mkdir()
        self.assertIn("c1", self.containers())
        self.assertEqual(self.remove("c1").json(), {"id": "c1", "removed": True})


@needs_root
class ReadOnlyTree(TreeCase):
    def setUp(self):
        super().setUp()
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")
        self.daemon = self.start(*READ_ONLY)

    def test_ensure_is_503_with_erofs_and_makes_nothing(self):
        for body in (None, HOST):
            with self.subTest(body):
                document = self.assert_problem(self.ensure(body), 503)
                self.assertEqual(document["errno"], "EROFS")
                self.assertTrue(document["op"])
                self.assertTrue(document["path"])
        self.assertEqual(self.tree.names(), set())

    def test_an_absent_container_is_done_nevertheless(self):
        self.tree.make()
        self.tree.make("containers")
        self.assertEqual(self.remove("c1").json(), {"id": "c1", "removed": False})

    def test_a_container_that_is_there_cannot_be_removed(self):
        self.tree.make()
        self.tree.make("containers")
        path = self.tree.make("containers", "c1")
        self.assertEqual(self.assert_problem(self.remove("c1"), 503)["errno"], "EROFS")
        self.assertTrue(path.is_dir())

    def test_the_survey_sees_it(self):
        self.assertFalse(self.daemon.capabilities()["can_write_cgroup_root"])


@needs_root
class Modes(HostCase):
    def test_a_device_that_vanishes_changes_the_mode_and_is_counted(self):
        document = self.daemon.capabilities()
        if document["effective_mode"] != "full":
            self.skipTest(f"the mode is {document['effective_mode']} here")
        self.tree.run("mount", "-t", "tmpfs", "none", "/dev/net")
        try:
            document = self.daemon.request("POST", "/survey").json()
        finally:
            self.tree.run("umount", "/dev/net")
        self.assertEqual(document["effective_mode"], "nested_adaptive")
        unmet = [one["capability"] for one in document["unmet_for_full"]]
        self.assertEqual(unmet, ["tun_device_available"])

        self.assertEqual(
            self.daemon.request("POST", "/survey").json()["effective_mode"], "full"
        )
        metrics = self.daemon.metrics()
        changes = "surveyd_mode_changes_total"
        there = {"from": "full", "to": "nested_adaptive"}
        back = {"from": "nested_adaptive", "to": "full"}
        self.assertEqual(metrics.values(changes, **there), [1])
        self.assertEqual(metrics.values(changes, **back), [1])
        tun = {"capability": "tun_device_available"}
        self.assertEqual(metrics.values("surveyd_capability_changes_total", **tun), [2])


class BareHybridHost(DaemonCase):
    """/sys/fs/cgroup is a tmpfs: a directory made there would succeed and mean nothing."""

    @classmethod
    def setUpClass(cls):
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        covering = [line for line in mounts if line.split()[4] == "/sys/fs/cgroup"]
        kinds = [line.partition(" - ")[2].split()[0] for line in covering]
        if not kinds or kinds[-1] != "tmpfs":
            raise unittest.SkipTest("/sys/fs/cgroup is no tmpfs here")
        if not is_root:
            raise unittest.SkipTest("needs root")
        super().setUpClass()

    def listing(self):
        top = Path("/sys/fs/cgroup")
        return sorted(str(path) for path in [*top.iterdir(), *top.glob("unified/*")])

    def test_every_operation_is_501_and_makes_nothing(self):
        before = self.listing()
        for method, path, body in (
            ("POST", "/cgroups/ensure", None),
            ("POST", "/cgroups/ensure", HOST),
            ("POST", "/cgroups/ensure", SCOPE),
            ("GET", "/cgroups", None),
            ("DELETE", "/cgroups/containers/a", None),
        ):
            with self.subTest(f"{method} {path}", body=body):
                data = None if body is None else json.dumps(body).encode()
                answer = self.daemon.request(method, path, body=data)
                document = self.assert_problem(answer, 501, "no-usable-cgroup2")
                self.assertIn("hybrid", document["detail"])
        self.assertEqual(self.listing(), before)


class TracedCase(TreeCase):
    def strace(self, *options):
        return (program("strace"), "-f", *options)


@unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "a sanitizer makes calls of its own")
@needs_root
class SystemCalls(TracedCase):
    """What strace sees: no directory is made or removed outside of the tree."""

    CALL = re.compile(r'^\d+ +(\w+)\((?:\d+<([^>]*)>|AT_FDCWD<[^>]*>)?(?:, )?(?:"([^"]*)")?')

    def setUp(self):
        super().setUp()
        self.output = Path(self.enterContext(tempfile.TemporaryDirectory()), "trace")
        calls = "trace=mkdir,mkdirat,rmdir,unlink,unlinkat,write"
        self.tracer = self.strace("-y", "-e", calls, "-o", str(self.output))

    def traced(self):
        """(call, the descriptor's path, the name given) in order."""
        self.daemon.stop()
        lines = self.output.read_text(encoding="utf-8", errors="replace").splitlines()
        return [match.groups() for line in lines if (match := self.CALL.match(line))]

    def assert_confined(self, base, deepest):
        """Directories only at or below `base`, writes only to the files that delegate and move."""
        changed = []
        for name, directory, given in self.traced():
            if name != "write":
                path = os.path.normpath(os.path.join(directory or "", given or ""))
                self.assertEqual(os.path.commonpath([path, base]), base, f"{name} {path}")
                changed.append(path)
            elif directory and directory.startswith("/sys/fs/cgroup"):
                file = os.path.basename(directory)
                self.assertIn(file, ("cgroup.subtree_control", "cgroup.procs"))
        self.assertIn(deepest, changed)

    def hostile_requests(self):
        for name in ("..", "../x", "%2e%2e%2fx", "cgroup.procs", "/etc", "a/../../x", "absent"):
            self.remove(name)

    def test_host_placement_stays_below_its_directory(self):
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")
        self.daemon = self.start(*self.tracer)
        self.ensured(HOST)
        self.tree.make("containers", "c1")
        self.remove("c1")
        self.hostile_requests()
        base = f"/sys/fs/cgroup/{self.tree.name}"
        self.assert_confined(base, f"{base}/containers/c1")

    def test_scope_placement_stays_below_its_scope(self):
        if not self.tree.offered:
            self.skipTest("no controller is left to cgroup v2")
        self.tree.enable_all()
        self.tree.own.mkdir()
        # Only the daemon enters: strace would be in the way as another process of the scope.
        self.daemon = self.start(*self.tracer, *in_cgroup(self.tree.own))
        self.ensured(SCOPE)
        self.hostile_requests()
        base = f"/sys/fs/cgroup/{self.tree.name}"
        self.assert_confined(base, f"{base}/init")


if __name__ == "__main__":
    unittest.main()
