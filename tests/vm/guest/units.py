"""surveyd as a service of systemd with Delegate=yes, under cgroup v2."""

import unittest
from pathlib import Path

from cgroups import control
from daemon import eventually
from machine import (
    DELEGATED,
    HOST_PARENT,
    SYSTEM_SCOPE,
    TREE,
    UNIT,
    ServiceCase,
    cgroup_of,
    enabled,
    is_ready,
    offered,
    request,
    run,
    systemctl,
    timed,
)
from users import call
from wire import DEADLINE

OTHER_UNIT = "other.service"
LIMITS = ("CPUWeight=50", "MemoryMax=64M", "TasksMax=20", "IOWeight=50", "AllowedCPUs=0")
USER = 1000
USER_SOCKET = f"/run/user/{USER}/surveyd.sock"


class SystemService(ServiceCase):
    def test_its_host_is_assessed_as_full_although_a_service_counts_as_nested(self):
        document = request("GET", "/capabilities").json()
        self.assertEqual(document["cgroup_parent"], f"/{SYSTEM_SCOPE.relative_to(TREE)}")
        self.assertEqual(document["effective_mode"], "nested_adaptive")
        self.assertEqual(document["assessed_mode"], "full")

    def test_scope_placement_gets_the_delegated_controllers_into_the_container_parent(self):
        document = self.ensured("scope")
        parent = SYSTEM_SCOPE / "containers"
        self.assertEqual(document["container_parent"], f"/{parent.relative_to(TREE)}")
        self.assertEqual(document["placement"], "scope")
        self.assertLessEqual(DELEGATED, enabled(parent))
        for name in DELEGATED:
            self.assertEqual(document["controllers"][name], "enabled")
        self.assertEqual(cgroup_of(self.pid), SYSTEM_SCOPE / "init")

    def test_auto_gets_every_controller_of_the_machine_into_the_host_container_parent(self):
        document = self.ensured()
        self.assertEqual(document["container_parent"], f"/{HOST_PARENT.relative_to(TREE)}")
        self.assertEqual(document["placement"], "host")
        self.assertLessEqual(DELEGATED, enabled(HOST_PARENT))
        self.assertEqual(enabled(HOST_PARENT), offered(TREE))
        self.assertEqual(document["controllers"], dict.fromkeys(offered(TREE), "enabled"))
        self.assertEqual(cgroup_of(self.pid), SYSTEM_SCOPE)

    def test_a_container_below_either_parent_has_the_files_of_the_controllers(self):
        files = ("cpu.max", "cpuset.cpus", "io.max", "memory.max", "pids.max")
        for placement, parent in (("host", HOST_PARENT), ("scope", SYSTEM_SCOPE / "containers")):
            with self.subTest(placement):
                self.ensured(placement)
                (parent / "web").mkdir()
                missing = [name for name in files if not (parent / "web" / name).exists()]
                self.assertEqual(missing, [])
                self.assert_removed("web")

    def test_systemctl_reload_surveys_at_once_from_the_leaf_too(self):
        self.ensured("scope")
        before = self.generation()
        systemctl("reload", UNIT.name)
        eventually(lambda: self.generation() > before, "another survey")

    def test_stopping_the_service_ends_what_is_in_its_scope_and_leaves_the_host_parent(self):
        self.ensured("host")
        self.ensured("scope")
        outside = self.container(HOST_PARENT, "outside")
        inside = self.container(SYSTEM_SCOPE / "containers", "inside")
        systemctl("stop", UNIT.name)
        inside.wait(DEADLINE)
        self.assertFalse(SYSTEM_SCOPE.exists())
        self.assertIsNone(outside.poll())
        self.assertEqual(enabled(HOST_PARENT), offered(TREE))


class Restart(ServiceCase):
    def test_host_placement_finds_the_same_tree_with_its_containers_again(self):
        self.ensured("host")
        process = self.container(HOST_PARENT, "web")
        before = HOST_PARENT.stat().st_ino
        self.start("restart")
        self.assertIsNone(process.poll())
        self.assertEqual(HOST_PARENT.stat().st_ino, before)
        self.assertEqual(enabled(HOST_PARENT), offered(TREE))
        row = self.listed()["web"]
        self.assertEqual((row["populated"], row["processes"]), (True, 1))
        self.assertEqual(self.delegated(), offered(TREE))
        self.assertEqual(self.ensured("host")["created"], [])
        self.assertEqual(self.assert_occupied("web"), [process.pid])

    def test_host_placement_outlives_a_killed_daemon(self):
        self.ensured("host")
        process = self.container(HOST_PARENT, "web")
        self.kill_and_wait()
        self.assertIsNone(process.poll())
        self.assertIn("web", self.listed())

    def test_scope_placement_ends_its_containers_and_can_be_made_again(self):
        self.assert_scope_begins_anew(lambda: self.start("restart"))

    def test_scope_placement_can_be_made_again_after_a_killed_daemon(self):
        self.assert_scope_begins_anew(self.kill_and_wait)

    def kill_and_wait(self):
        before = self.pid
        systemctl("kill", "--signal=KILL", "--kill-who=main", UNIT.name)
        eventually(lambda: self.pid not in (0, before) and is_ready(), "systemd starts it again")

    def assert_scope_begins_anew(self, restart):
        """systemd ends everything in a unit when it stops it, and removes its cgroups."""
        first = self.ensured("scope")
        process = self.container(SYSTEM_SCOPE / "containers", "web")
        restart()
        process.wait(DEADLINE)
        self.assertEqual(cgroup_of(self.pid), SYSTEM_SCOPE)
        self.assertEqual(self.listed(), {})
        again = self.ensured("scope")
        self.assertEqual(
            (again["container_parent"], again["controllers"]),
            (first["container_parent"], first["controllers"]),
        )
        self.assertEqual(cgroup_of(self.pid), SYSTEM_SCOPE / "init")


class OtherUnits(ServiceCase):
    """systemd enables and withdraws controllers as its units come and go."""

    def steps(self):
        """(what, how) of everything that makes systemd realise cgroups anew."""
        start = ("systemd-run", "--quiet", f"--unit={OTHER_UNIT}")
        properties = [("--property", one) for one in LIMITS]
        stop = ("systemctl", "stop", OTHER_UNIT)
        yield "daemon-reload", ("systemctl", "daemon-reload")
        yield "a unit without limits starts", (*start, "sleep", "infinity")
        yield "it stops", stop
        for option, text in properties:
            yield f"a unit with {text} starts", (*start, option, text, "sleep", "infinity")
            yield "it stops", stop
        every = [word for pair in properties for word in pair]
        yield "a unit with every limit starts", (*start, *every, "sleep", "infinity")
        yield "daemon-reload while it runs", ("systemctl", "daemon-reload")
        yield (
            "it loses a limit",
            ("systemctl", "set-property", "--runtime", OTHER_UNIT, "CPUWeight=", "IOWeight="),
        )
        yield "it stops", stop
        yield "daemon-reload after it", ("systemctl", "daemon-reload")
        yield "daemon-reexec", ("systemctl", "daemon-reexec")

    def lost_and_not_said(self, parent, wanted):
        """Controllers that the container parent lacks although the gauge says it has them."""
        return (wanted - enabled(parent)) & self.delegated()

    def assert_nothing_is_lost_silently(self, placement, parent):
        document = self.ensured(placement)
        wanted = enabled(parent)
        self.assertEqual(wanted, set(document["controllers"]))
        withdrawn = set()
        for what, command in self.steps():
            with self.subTest(what):
                run(*command)
                eventually(
                    lambda: not self.lost_and_not_said(parent, wanted), f"{wanted} or a gauge at 0"
                )
                withdrawn |= wanted - enabled(parent)
        print(f"{placement} placement: withdrawn by systemd: {sorted(withdrawn) or 'nothing'}")

    def test_what_the_host_container_parent_loses_is_said(self):
        self.assert_nothing_is_lost_silently("host", HOST_PARENT)

    def test_what_the_container_parent_in_the_scope_loses_is_said(self):
        self.assert_nothing_is_lost_silently("scope", SYSTEM_SCOPE / "containers")

    def test_containers_keep_their_limits_while_other_units_come_and_go(self):
        self.ensured("host")
        self.container(HOST_PARENT, "web")
        limits = {"memory.max": "33554432", "pids.max": "7", "cpu.weight": "42", "cpuset.cpus": "0"}
        for name, text in limits.items():
            (HOST_PARENT / "web" / name).write_text(text, encoding="ascii")
        for what, command in self.steps():
            with self.subTest(what):
                run(*command)
                now = {name: (HOST_PARENT / "web" / name).read_text().strip() for name in limits}
                self.assertEqual(now, limits)

    def test_a_controller_withdrawn_by_hand_is_said_at_once_and_ensure_repairs_it(self):
        for placement, parent in (("host", HOST_PARENT), ("scope", SYSTEM_SCOPE / "containers")):
            with self.subTest(placement):
                self.ensured(placement)
                control(parent, "-", {"cpu"})
                took = timed(lambda: "cpu" not in self.delegated(), "the gauge says so")
                print(f"{placement} placement: withdrawn by hand, said after {took:.0f} ms")
                self.assertEqual(self.ensured(placement)["controllers"]["cpu"], "enabled")
                self.assertIn("cpu", enabled(parent))


class UserService(unittest.TestCase):
    """In the user manager of an ordinary user, whom systemd delegates cpu, memory and pids."""

    def setUp(self):
        manager = ("systemctl", "is-active", f"user@{USER}.service")
        eventually(lambda: run(*manager, check=False).returncode == 0, "the user manager runs")
        units = Path("/home/tester/.config/systemd/user")
        units.mkdir(parents=True, exist_ok=True)
        text = UNIT.read_text(encoding="ascii")
        serve = "surveyd serve"
        self.assertIn(serve, text)
        text = text.replace(serve, f"{serve} --unix-socket {USER_SOCKET}")
        (units / UNIT.name).write_text(text, encoding="ascii")
        self.as_user("systemctl", "--user", "daemon-reload")
        self.as_user("systemctl", "--user", "start", UNIT.name)
        self.addCleanup(self.as_user, "systemctl", "--user", "stop", UNIT.name)
        eventually(lambda: is_ready(USER_SOCKET), "the user's service answers")

    def as_user(self, *command):
        identity = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        return run(*identity, "env", f"XDG_RUNTIME_DIR=/run/user/{USER}", *command)

    def ensured(self, placement):
        def ask():
            answer = request("POST", "/cgroups/ensure", {"placement": placement}, USER_SOCKET)
            return answer.status, answer.body

        status, body = call(ask, uid=USER)
        self.assertEqual(status, 200, body)
        return request("GET", "/cgroups", socket=USER_SOCKET).json()["container_parent"]

    def test_scope_placement_gets_cpu_memory_and_pids_into_the_container_parent(self):
        parent = TREE / self.ensured("scope").lstrip("/")
        self.assertTrue(parent.match(f"user@{USER}.service/app.slice/surveyd.service/containers"))
        self.assertLessEqual({"cpu", "memory", "pids"}, enabled(parent))

    def test_auto_finds_that_it_has_to_be_the_scope(self):
        parent = self.ensured("auto")
        self.assertTrue(parent.endswith("/surveyd.service/containers"), parent)
        self.assertFalse((TREE / "zlayer").exists())

    def test_the_user_can_limit_and_remove_a_container(self):
        parent = TREE / self.ensured("scope").lstrip("/")

        def work():
            (parent / "web").mkdir()
            (parent / "web" / "memory.max").write_text("33554432", encoding="ascii")
            (parent / "web" / "pids.max").write_text("7", encoding="ascii")
            return request("DELETE", "/cgroups/containers/web", socket=USER_SOCKET).status

        self.assertEqual(call(work, uid=USER), 200)
        self.assertFalse((parent / "web").exists())
