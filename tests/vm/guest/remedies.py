"""Failures that systemd and podman make: what the remedy says is done to the letter, and then the
answer is yes. Booted with the argument that the remedy of a hybrid hierarchy names, after the one
that made it hybrid."""

import json
import shlex
import unittest
from pathlib import Path

from cgroups import remove
from daemon import eventually
from machine import BINARY, TREE, UNIT, is_ready, request, run, systemctl

DROP_INS = UNIT.with_name(UNIT.name + ".d")
# Before the names of the remedies, which are to win.
FAILURE = DROP_INS / "10-failure.conf"
STATE = Path("/run/remedies-under-test")
ROOT = STATE / "root"
ORDINARY = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")


def setUpModule():
    """A root file system for containers: the guest's own, below a layer that takes changes."""
    for name in ("upper", "work", "root"):
        (STATE / name).mkdir(parents=True)
    layers = f"lowerdir=/,upperdir={STATE}/upper,workdir={STATE}/work"
    run("mount", "-t", "overlay", "-o", layers, "overlay", ROOT)


def tearDownModule():
    run("umount", ROOT)


class Case(unittest.TestCase):
    def assert_no(self, finding, code):
        told = (finding["status"], finding["reason_code"])
        self.assertEqual(told, ("no", code), json.dumps(finding, indent=2))
        self.assertIsNotNone(finding["remedy"], json.dumps(finding, indent=2))

    def assert_yes(self, finding):
        self.assertEqual(finding["status"], "yes", json.dumps(finding, indent=2))


class Service(Case):
    """surveyd.service with settings that take something from it; the drop-in gives it back."""

    def setUp(self):
        self.kept = set(DROP_INS.iterdir())
        self.addCleanup(remove, TREE / "zlayer")
        self.addCleanup(self.restore)

    def restore(self):
        systemctl("stop", UNIT.name)
        for path in set(DROP_INS.iterdir()) - self.kept:
            path.unlink()
        systemctl("daemon-reload")

    def start(self, *settings):
        FAILURE.write_text("\n".join(("[Service]", *settings, "")), encoding="ascii")
        systemctl("daemon-reload")
        systemctl("start", UNIT.name)
        eventually(is_ready, "the service answers")

    def ask(self, name):
        return request("GET", f"/findings/{name}").json()

    def assert_mended(self, name, code, *settings):
        self.start(*settings)
        finding = self.ask(name)
        self.assert_no(finding, code)
        command = finding["remedy"]["command"]
        self.assertIn(UNIT.name, command)
        print(f"{name}: {code}: {command}")
        run("sh", "-c", command)
        eventually(is_ready, "the service answers again")
        self.assert_yes(self.ask(name))

    def test_no_delegate(self):
        self.assert_mended("cgroup_scope_placement", "not_delegated", "User=tester", "Delegate=no")

    def test_read_only_cgroups(self):
        self.assert_mended("can_write_cgroup_root", "read_only", "ProtectControlGroups=yes")

    def test_no_cap_net_admin_in_the_bounding_set(self):
        dropped = "CapabilityBoundingSet=~CAP_NET_ADMIN"
        self.assert_mended("has_cap_net_admin", "capability_missing", dropped)

    def test_no_cap_net_admin_as_another_user(self):
        self.assert_mended("has_cap_net_admin", "capability_missing", "User=tester")

    def test_a_device_that_the_unit_may_not_use(self):
        self.assert_mended("tun_device_available", "device_denied", "DevicePolicy=closed")

    def test_no_device_node_in_a_private_dev(self):
        self.assert_mended("tun_device_available", "device_missing", "PrivateDevices=yes")


class Sysctls(Case):
    def test_user_namespaces_that_a_sysctl_turns_off(self):
        for name in ("kernel.unprivileged_userns_clone", "user.max_user_namespaces"):
            path = Path("/proc/sys", *name.split("."))
            if not path.exists():
                continue
            before = path.read_text()
            with self.subTest(name):
                path.write_text("0")
                try:
                    finding = self.ask()
                    self.assert_no(finding, "disabled_by_sysctl")
                    run("sh", "-c", finding["remedy"]["command"])
                    self.assert_yes(self.ask())
                    self.assert_yes(self.ask("--verify"))
                finally:
                    path.write_text(before)

    def ask(self, *options):
        words = (*ORDINARY, BINARY, "explain", "user_namespaces", "--json", *options)
        return json.loads(run(*words, check=False, cwd="/").stdout)


class Podman(Case):
    def ask(self, name, *options):
        words = ("podman", "--log-level=error", "run", "--rm", "--network=none", *options)
        words += ("--rootfs", ROOT, BINARY, "explain", name, "--json")
        ended = run(*words, check=False)
        self.assertIn(ended.returncode, (0, 1), ended.stderr)
        return json.loads(ended.stdout)

    def assert_mended(self, name, code, options, *before):
        """Started again with the options that the text names."""
        finding = self.ask(name, *before)
        self.assert_no(finding, code)
        self.assertIn(options, finding["remedy"]["text"])
        self.assertFalse(finding["remedy"].get("command"), finding["remedy"])
        self.assert_yes(self.ask(name, *before, *shlex.split(options)))

    def test_read_only_cgroups(self):
        for options in (
            "--security-opt unmask=/sys/fs/cgroup",
            "-v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=private",
        ):
            with self.subTest(options):
                self.assert_mended("can_write_cgroup_root", "read_only", options)

    def test_a_private_cgroup_namespace(self):
        options = "--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"
        self.assert_mended("cgroup_host_placement", "private_cgroup_namespace", options)

    def test_no_tun_node(self):
        self.assert_mended("tun_device_available", "device_missing", "--device /dev/net/tun")

    def test_no_cap_net_admin(self):
        self.assert_mended("has_cap_net_admin", "capability_missing", "--cap-add=NET_ADMIN")


class Booted(Case):
    """With the argument that the remedy of a hybrid hierarchy names."""

    def test_the_hierarchy_is_v2(self):
        self.assertRegex(Path("/proc/cmdline").read_text(), "hierarchy=0.*hierarchy=1")
        ended = run(BINARY, "explain", "cgroup_version", "--json", check=False)
        self.assert_yes(json.loads(ended.stdout))


class Hybrid(Case):
    """Before that boot."""

    def test_the_argument_and_the_reboot_are_named(self):
        ended = run(BINARY, "explain", "cgroup_version", "--json", check=False)
        finding = json.loads(ended.stdout)
        self.assert_no(finding, "hybrid_hierarchy")
        self.assertIn("Boot with the kernel argument", finding["remedy"]["text"])
        self.assertIn("systemd.unified_cgroup_hierarchy=1", finding["remedy"]["text"])
