"""Containers of real runtimes: surveyd inside of one, and others below the parent that it made."""

import json
import os
import signal
import tempfile
import unittest
from pathlib import Path

from cgroups import words
from daemon import eventually
from machine import (
    BINARY,
    HOST_PARENT,
    SYSTEM_SCOPE,
    TREE,
    ServiceCase,
    cgroup_of,
    counts,
    enabled,
    is_ready,
    offered,
    request,
    run,
)

STATE = Path("/run/containers-under-test")
ROOT = STATE / "root"
MEMORY = 64 << 20
PIDS = 16
KILLED = 128 + 9
ALLOCATE = ("python3", "-c", f"bytearray({4 * MEMORY})")
REFUSED = "refused\n"
FORK = (
    "python3",
    "-c",
    """
import os, signal
children = []
try:
    for _ in range(1000):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
except BlockingIOError:
    print("refused", flush=True)
for pid in children:
    os.kill(pid, signal.SIGKILL)
""",
)
BUNDLES = Path("/var/lib/containers/storage/overlay-containers")


def setUpModule():
    """A root file system for containers: the guest's own, below a layer that takes changes."""
    for name in ("upper", "work", "root"):
        (STATE / name).mkdir(parents=True)
    layers = f"lowerdir=/,upperdir={STATE}/upper,workdir={STATE}/work"
    run("mount", "-t", "overlay", "-o", layers, "overlay", ROOT)


def tearDownModule():
    run("umount", ROOT)


def podman(*arguments, **options):
    return run("podman", "--log-level=error", *arguments, **options)


def inspect(name, template):
    return podman("inspect", "--format", template, name).stdout.strip()


class BelowTheParent(ServiceCase):
    """A container below the container parent that surveyd made."""

    placement = "host"
    parent = HOST_PARENT

    def setUp(self):
        super().setUp()
        self.ensured(self.placement)

    def assert_limited(self, directory):
        self.assertEqual(words(directory / "memory.max"), [str(MEMORY)])
        self.assertEqual(words(directory / "pids.max"), [str(PIDS)])


class CrunCase(BelowTheParent):
    """crun by itself, with a bundle that says where its cgroup is to be."""

    def setUp(self):
        super().setUp()
        self.directory = self.parent / "web"
        self.bundle = Path(self.enterContext(tempfile.TemporaryDirectory(dir=STATE)))
        run("crun", "spec", "--bundle", self.bundle)
        file = self.bundle / "config.json"
        config = json.loads(file.read_text())
        config["root"] = {"path": str(ROOT), "readonly": False}
        config["process"].update(terminal=False, args=["sleep", "infinity"])
        config["linux"]["cgroupsPath"] = f"/{self.directory.relative_to(TREE)}"
        config["linux"]["resources"].update(memory={"limit": MEMORY}, pids={"limit": PIDS})
        file.write_text(json.dumps(config))
        self.addCleanup(self.crun, "delete", "--force", "web", check=False)
        self.run_detached()

    def crun(self, *arguments, **options):
        return run("crun", "--cgroup-manager=cgroupfs", *arguments, **options)

    def run_detached(self):
        # The container would keep pipes open for as long as it runs.
        with open(self.bundle / "log", "w+b") as log:
            self.crun("run", "--detach", "--bundle", self.bundle, "web", stdout=log, stderr=log)
        self.pid_inside = self.state()["pid"]

    def inside(self, *command):
        return self.crun("exec", "web", *command, check=False)

    def state(self):
        return json.loads(self.crun("state", "web").stdout)

    def has_stopped(self):
        return self.state()["status"] == "stopped"


class CrunInTheScope(CrunCase):
    placement = "scope"
    parent = SYSTEM_SCOPE / "containers"

    def test_its_limits_are_enforced_and_it_is_ended_and_removed_over_http(self):
        self.assertEqual(cgroup_of(self.pid_inside), self.directory)
        self.assert_limited(self.directory)
        self.assertEqual(self.inside(*ALLOCATE).returncode, KILLED)
        self.assertEqual(counts(self.directory / "memory.events")["oom_kill"], 1)
        self.assertEqual(self.inside(*FORK).stdout, REFUSED)
        self.assertEqual(self.assert_occupied("web"), [self.pid_inside])
        self.assert_removed("web", "?force=true")
        self.assertFalse(self.directory.exists())


class Crun(CrunCase):
    def test_its_limits_are_those_of_the_bundle(self):
        self.assertEqual(cgroup_of(self.pid_inside), self.directory)
        self.assert_limited(self.directory)

    def test_what_exceeds_the_memory_limit_is_killed(self):
        self.assertEqual(counts(self.directory / "memory.events")["oom_kill"], 0)
        ended = self.inside(*ALLOCATE)
        self.assertEqual(ended.returncode, KILLED, ended.stderr)
        self.assertEqual(counts(self.directory / "memory.events")["oom_kill"], 1)
        self.assertEqual(self.state()["status"], "running")

    def test_a_fork_beyond_the_process_limit_is_refused(self):
        ended = self.inside(*FORK)
        self.assertEqual(ended.stdout, REFUSED, ended.stderr)
        self.assertGreaterEqual(counts(self.directory / "pids.events")["max"], 1)

    def test_it_is_removed_over_http_once_it_has_ended(self):
        self.assertEqual(self.assert_occupied("web"), [self.pid_inside])
        self.assertEqual(self.listed()["web"]["processes"], 1)
        self.crun("kill", "web", "KILL")
        eventually(self.has_stopped, "the container has stopped")
        self.assert_removed("web")
        self.assertFalse(self.directory.exists())
        self.crun("delete", "web")

    def test_it_is_ended_and_removed_over_http_by_force(self):
        (self.directory / "nested").mkdir()
        self.assert_removed("web", "?force=true")
        self.assertFalse(self.directory.exists())
        eventually(self.has_stopped, "the container has stopped")
        self.crun("delete", "web")

    def test_its_name_can_be_used_again_after_removal(self):
        self.assert_removed("web", "?force=true")
        self.crun("delete", "web")
        self.run_detached()
        self.assert_limited(self.directory)


class Podman(BelowTheParent):
    def create(self, *command):
        self.addCleanup(podman, "rm", "--force", "--time=0", "web", check=False)
        created = podman(
            "--cgroup-manager=cgroupfs", "create", "--name=web", "--network=none",
            f"--cgroup-parent=/{self.parent.relative_to(TREE)}",
            f"--memory={MEMORY}", f"--pids-limit={PIDS}", "--rootfs", ROOT, *command,
        )  # fmt: skip
        self.bundle = BUNDLES / created.stdout.strip() / "userdata"

    def start_container(self, *options, check=True):
        # podman 4.3 looks for conmon's note of an OOM kill in the bundle, and conmon 2.1 writes it
        # into its working directory, which is podman's.
        start = ("--cgroup-manager=cgroupfs", "start", *options, "web")
        return podman(*start, check=check, cwd=self.bundle)

    def run_detached(self):
        self.create("sleep", "infinity")
        self.start_container()
        self.pid_inside = int(inspect("web", "{{.State.Pid}}"))
        self.directory = cgroup_of(self.pid_inside)
        self.assertEqual(self.directory.parent, self.parent)

    def test_its_limits_are_those_of_the_command_line(self):
        self.run_detached()
        self.assert_limited(self.directory)
        self.assertEqual(self.listed()[self.directory.name]["processes"], 1)

    def test_what_exceeds_the_memory_limit_is_killed(self):
        self.run_detached()
        self.assertEqual(podman("exec", "web", *ALLOCATE, check=False).returncode, KILLED)
        self.assertEqual(counts(self.directory / "memory.events")["oom_kill"], 1)

    def test_podman_knows_that_the_memory_limit_ended_the_container(self):
        self.create(*ALLOCATE)
        self.assertEqual(self.start_container("--attach", check=False).returncode, KILLED)
        self.assertEqual(inspect("web", "{{.State.OOMKilled}}"), "true")

    def test_a_fork_beyond_the_process_limit_is_refused(self):
        self.create(*FORK)
        ended = self.start_container("--attach", check=False)
        self.assertEqual(ended.stdout, REFUSED, ended.stderr)

    def test_what_its_monitor_left_behind_is_removed_over_http(self):
        self.run_detached()
        self.assertEqual(self.assert_occupied(self.directory.name), [self.pid_inside])
        # Nobody is left to clean up: conmon first, then the container.
        monitor = int(inspect("web", "{{.State.ConmonPid}}"))
        os.kill(monitor, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{monitor}").exists(), "the monitor is gone")
        os.kill(self.pid_inside, signal.SIGKILL)
        events = self.directory / "cgroup.events"
        eventually(lambda: counts(events)["populated"] == 0, "nothing lives in it")
        self.assert_removed(self.directory.name)
        self.assertFalse(self.directory.exists())

    def test_it_is_ended_and_removed_over_http_by_force(self):
        self.run_detached()
        self.assert_removed(self.directory.name, "?force=true")
        self.assertFalse(self.directory.exists())
        self.assertEqual(podman("wait", "web").stdout.strip(), str(KILLED))
        podman("rm", "web")


class PrivilegedContainer(unittest.TestCase):
    """surveyd as the main process of a privileged container with a cgroup namespace of its own,
    whose root is not the root of the tree although /proc/self/cgroup says 0::/."""

    def start(self, *options):
        sockets = self.enterContext(tempfile.TemporaryDirectory(dir=STATE))
        self.socket = f"{sockets}/surveyd.sock"
        self.addCleanup(podman, "rm", "--force", "--time=0", "agent", check=False)
        podman(
            "run", "--detach", "--name=agent", "--privileged", "--network=none", *options,
            f"--volume={sockets}:/run/surveyd", "--rootfs", ROOT, BINARY, "serve",
        )  # fmt: skip
        eventually(lambda: is_ready(self.socket), "surveyd answers")
        self.pid = int(inspect("agent", "{{.State.Pid}}"))
        self.scope = cgroup_of(self.pid)

    def start_visible(self):
        """In the pid namespace of its callers: it refuses those whose process it cannot see."""
        self.start("--pid=host")

    def inside(self, *command):
        return podman("exec", "agent", *command)

    def ask_inside(self, body):
        """POST /cgroups/ensure from a second process of the container: (status, document)."""
        ended = self.inside(
            "curl", "--silent", "--write-out", "\n%{http_code}", "--json", json.dumps(body),
            "http://localhost:9847/cgroups/ensure",
        )  # fmt: skip
        text, _, status = ended.stdout.rpartition("\n")
        return int(status), json.loads(text)

    def ask(self, body):
        """The same from outside of the container."""
        answer = request("POST", "/cgroups/ensure", body, self.socket)
        return answer.status, answer.json()

    def assert_divided(self, status, document):
        self.assertEqual(status, 200, document)
        self.assertEqual(document["placement"], "scope")
        self.assertEqual(document["container_parent"], "/containers")
        parent = self.scope / "containers"
        self.assertLessEqual({"cpu", "memory", "pids"}, enabled(parent))
        self.assertEqual(enabled(parent), offered(self.scope))
        self.assertEqual(cgroup_of(self.pid), self.scope / "init")
        self.assertEqual(words(self.scope / "cgroup.type"), ["domain"])
        self.assertFalse((TREE / "zlayer").exists())

    def test_its_namespace_looks_like_the_root_and_is_none(self):
        self.start()
        self.assertEqual(self.inside("cat", "/proc/1/cgroup").stdout, "0::/\n")
        self.assertNotEqual(self.scope, TREE)
        self.assertTrue((self.scope / "cgroup.type").exists())

    def test_scope_placement_works(self):
        self.start_visible()
        self.assert_divided(*self.ask({"placement": "scope"}))

    def test_auto_chooses_the_scope(self):
        self.start_visible()
        self.assert_divided(*self.ask({"placement": "auto"}))

    def test_host_placement_is_refused(self):
        self.start_visible()
        status, document = self.ask({"placement": "host"})
        self.assertEqual(status, 501, document)

    def test_a_caller_that_it_cannot_see_is_refused(self):
        self.start()
        status, document = self.ask({"placement": "scope"})
        self.assertEqual(status, 403, document)
        self.assertIn("not visible", document["detail"])

    def test_a_second_process_of_the_container_is_in_the_way(self):
        self.start()
        status, document = self.ask_inside({"placement": "scope"})
        self.assertEqual(status, 409, document)
        self.assertIn("curl", [one["command"] for one in document["processes"]])

    def test_a_second_process_can_ask_to_be_moved_along(self):
        self.start()
        self.assert_divided(*self.ask_inside({"evacuate": "all"}))

    def test_after_a_refusal_everybody_can_still_be_moved(self):
        self.start()
        status, document = self.ask_inside({"placement": "scope"})
        self.assertEqual(status, 409, document)
        self.assert_divided(*self.ask_inside({"placement": "scope", "evacuate": "all"}))

    def test_another_process_can_enter_the_divided_container(self):
        self.start_visible()
        self.assert_divided(*self.ask({"placement": "scope"}))
        self.assertEqual(self.inside("echo", "entered").stdout, "entered\n")
