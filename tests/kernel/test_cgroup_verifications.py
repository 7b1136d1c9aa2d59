"""What verifications of cgroups and networks do to the machine's own tree and links: nothing that
is left of it. The tree is entered in a private mount namespace."""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from cgroups import Tree, in_cgroup  # noqa: E402
from daemon import is_root  # noqa: E402

SURVEYD = os.environ.get("SURVEYD_BIN", "build/release/surveyd")
PREFIX = "surveyd-verify-"
PID_NAMESPACE = Path("/proc/self/ns/pid")
NETWORK = ("nftables", "bridge", "veth", "vxlan", "wireguard")


def start_time(pid):
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[19]


def loaded_modules():
    path = Path("/proc/modules")
    return {line.split()[0] for line in path.read_text().splitlines()} if path.exists() else None


def links():
    names = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()]
    return sorted(names)


def evidence(finding):
    return {one["source"]: one.get("value", one.get("errno")) for one in finding["evidence"]}


@unittest.skipUnless(is_root, "needs root")
class CgroupVerifications(unittest.TestCase):
    def setUp(self):
        self.tree = self.enterContext(Tree())
        self.tree.own.mkdir()

    def verify(self, finding, *prefix, settings=()):
        command = [*self.tree.inside, *prefix, SURVEYD, "explain", finding, "--verify", "--json"]
        done = subprocess.run(
            [*command, "--cgroup-name", self.tree.name, *settings],
            capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return json.loads(done.stdout)

    def cgroups(self):
        """Every cgroup of the whole tree."""
        return {str(path.relative_to(self.tree.root)) for path in self.tree.root.rglob("*")
                if path.is_dir()}

    def leave(self, place, pid, start):
        """What a verification would leave behind that was killed in the middle."""
        namespace = PID_NAMESPACE.stat().st_ino
        path = place / f"{PREFIX}{namespace}-{pid}-{start}-1"
        path.mkdir()
        self.addCleanup(lambda: path.rmdir() if path.exists() else None)
        return path

    def assert_works(self, finding):
        self.assertEqual(finding["basis"], "verified", finding)
        self.assertNotIn(finding["reason_code"], ("refused", "misbehaves"), finding)

    def test_the_root_takes_a_directory_and_is_left_as_it_was(self):
        before, enabled = self.cgroups(), self.tree.enabled(self.tree.root)
        finding = self.verify("can_write_cgroup_root")
        self.assertEqual((finding["status"], finding["basis"]), ("yes", "verified"), finding)
        self.assertEqual(finding["reason_code"], "available")
        self.assertEqual(self.cgroups(), before)
        self.assertEqual(self.tree.enabled(self.tree.root), enabled)
        said = evidence(finding)
        self.assertEqual(said[f"mkdir(/sys/fs/cgroup/{PREFIX}*)"], "0")
        rest = self.tree.offered - enabled
        if rest:
            offered = said["/sys/fs/cgroup/cgroup.controllers"]
            self.assertEqual(set(offered.partition(": ")[2].split(", ")), rest)

    def test_a_read_only_root_refuses(self):
        finding = self.verify(
            "can_write_cgroup_root", "unshare", "--mount", "sh", "-c",
            'mount -o remount,ro,bind /sys/fs/cgroup && exec "$@"', "sh")
        self.assertEqual((finding["status"], finding["basis"]), ("no", "verified"), finding)
        self.assertIn("EROFS", finding["reason"])

    def test_a_directory_on_a_tmpfs_proves_nothing(self):
        finding = self.verify(
            "can_write_cgroup_root", "unshare", "--mount", "sh", "-c",
            'mount -t tmpfs none /sys/fs/cgroup && : > /sys/fs/cgroup/cgroup.subtree_control '
            '&& exec "$@"', "sh")
        self.assertEqual((finding["status"], finding["basis"]), ("no", "verified"), finding)

    def test_the_place_of_a_parent_that_is_not_made_yet_is_tried(self):
        self.tree.own.rmdir()
        before = self.cgroups()
        finding = self.verify("cgroup_delegation")
        self.assertEqual(finding["status"], "no")
        self.assert_works(finding)
        self.assertEqual(self.cgroups(), before)

    def test_a_container_lives_in_the_parent_and_leaves_nothing(self):
        parent = self.tree.make("containers")
        before = self.cgroups()
        finding = self.verify("cgroup_delegation")
        self.assert_works(finding)
        said = evidence(finding)
        scratch = f"/sys/fs/cgroup/{self.tree.name}/containers/{PREFIX}*"
        self.assertEqual(said[f"move a process into {scratch}/cgroup.procs"], "0", said)
        self.assertEqual(said[f"rmdir({scratch})"], "0")
        self.assertEqual(self.cgroups(), before)
        self.assertEqual(list(path for path in parent.iterdir() if path.is_dir()), [])

    def test_what_a_killed_one_left_is_removed_by_the_next(self):
        self.tree.make("containers")
        with subprocess.Popen(["true"]) as gone:
            start = start_time(gone.pid)
        for finding, place in (("cgroup_delegation", self.tree.own / "containers"),
                               ("cgroup_delegation", self.tree.own),
                               ("can_write_cgroup_root", self.tree.root)):
            with self.subTest(finding, place=place.name):
                left = self.leave(place, gone.pid, start)
                self.verify(finding)
                self.assertFalse(left.exists())

    def test_what_one_that_lives_is_at_stays(self):
        self.tree.make("containers")
        left = self.leave(self.tree.own / "containers", os.getpid(), start_time(os.getpid()))
        self.verify("cgroup_delegation")
        self.assertTrue(left.exists())

    def test_a_scope_is_tried_where_the_process_lives(self):
        scope = self.tree.make("scope")
        before = self.cgroups()
        finding = self.verify("cgroup_scope_placement", *in_cgroup(scope))
        self.assertEqual(finding["basis"], "verified", finding)
        self.assertEqual(
            evidence(finding)[f"mkdir(/sys/fs/cgroup/{self.tree.name}/scope/{PREFIX}*)"], "0")
        self.assertEqual(self.cgroups(), before)


@unittest.skipUnless(is_root, "needs root")
class NetworkVerifications(unittest.TestCase):
    def test_no_link_is_made_here_and_no_module_loaded(self):
        known = json.loads(subprocess.run(
            [SURVEYD, "survey", "--json", "--all"], capture_output=True, text=True,
            timeout=60).stdout)
        ids = {one["id"] for one in known["findings"]} & set(NETWORK)
        if not ids:
            self.skipTest("no such finding")
        before = links(), loaded_modules()
        for name in sorted(ids):
            with self.subTest(name):
                done = subprocess.run([SURVEYD, "explain", name, "--verify", "--json"],
                                      capture_output=True, text=True, timeout=60)
                finding = json.loads(done.stdout)
                said = evidence(finding).get("not verified", "")
                self.assertTrue(finding["basis"] == "verified" or "module" in said, finding)
        self.assertEqual((links(), loaded_modules()), before)

    @unittest.skipUnless(shutil.which("setpriv"), "setpriv is not installed")
    def test_without_any_namespace_the_claim_stands(self):
        # No capabilities, and no user namespace to get them in.
        limit = Path("/proc/sys/user/max_user_namespaces")
        if not limit.exists():
            self.skipTest("no such sysctl")
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "sh", "-c",
             f'echo 0 > {limit} 2>/dev/null || exit 77; exec setpriv --bounding-set=-all "$@"',
             "sh", SURVEYD, "explain", "bridge", "--verify", "--json"],
            capture_output=True, text=True, timeout=60)
        if done.returncode == 77 or not done.stdout:
            self.skipTest("cannot be arranged here: " + done.stderr)
        finding = json.loads(done.stdout)
        self.assertEqual(finding["basis"], "claimed", finding)


if __name__ == "__main__":
    unittest.main()
