"""What surveyd says on a real kernel where it cannot look: what is masked, unmounted or out of reach
of a process without descriptors is unknown, and never becomes an absence."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, clean_environment, needs_root, public_binary  # noqa: E402
from users import STRANGER  # noqa: E402

ORDINARY = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
FREE_DESCRIPTORS = 3
STANDARD_STREAMS = 3
SCARCE = ("prlimit", f"--nofile={STANDARD_STREAMS + FREE_DESCRIPTORS}")

BLIND = {"unreadable", "permission_denied", "out_of_resources"}
# What only somebody who has looked may say.
ABSENCES = {
    "cgroup_not_mounted",
    "no_cgroup2_path",
    "device_missing",
    "program_missing",
    "kernel_lacks",
    "kernel_too_old",
    "call_missing",
    "disabled_by_sysctl",
    "no_subordinate_ids",
    "storage_missing",
}
# How each place is hidden, in a private mount namespace: from root and from others.
EMPTY = "mount -t tmpfs tmpfs {0}"
CLOSED = "mount -t tmpfs -o mode=000 tmpfs {0}"
ABSENT = "umount -l {0}"


class Case(unittest.TestCase):
    """A binary that everybody may run, and a storage path on a disk that is everybody's."""

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        cls.binary = public_binary(cls.directory)
        cls.storage = Path(cls.directory, "storage")
        cls.storage.mkdir()
        cls.storage.chmod(0o1777)

    def survey(self, prepare="", *, who=(), verify=False):
        """The findings by id, after the commands of `prepare` in a private mount namespace."""
        words = [*who, self.binary, "survey", "--all", "--json", "--storage", str(self.storage)]
        words += ["--verify"] if verify else []
        ended = subprocess.run(
            ["unshare", "-m", "--propagation=private", "sh", "-ec", f'{prepare}\nexec "$@"']
            + ["sh", *words],
            env=clean_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return {one["id"]: one for one in json.loads(ended.stdout)["findings"]}

    def assert_honest(self, usual, blind, truly_no=(), codes=BLIND):
        """Nothing but sight is lost between the two surveys."""
        self.assertEqual(usual.keys(), blind.keys())
        for name, finding in blind.items():
            with self.subTest(finding=name):
                text = json.dumps(finding, indent=2)
                was, now = usual[name], finding
                if name in truly_no and now["status"] == "no":
                    continue
                self.assertIn(now["status"], (was["status"], "unknown"), text)
                if now["reason_code"] != was["reason_code"]:
                    self.assertNotIn(now["reason_code"], ABSENCES, text)
                if now["status"] == was["status"]:
                    continue
                self.assertIn(now["reason_code"], codes, text)
                self.assertTrue(now["reason"], text)
                errnos = [one["errno"] for one in now["evidence"] if "errno" in one]
                self.assertTrue(errnos, text)

    def unknowns(self, findings):
        return {name for name, one in findings.items() if one["status"] == "unknown"}


@needs_root
class Masked(Case):
    """Each class of readers against its own usual survey."""

    # A program that does not run without a file has been tried, and does not work here.
    REFUSE_TO_RUN = ("fuse_overlayfs_rootfs_available", "pasta_available")

    def hide(self, place, how, who=(), expected=(), before=()):
        prepare = how.format(place)
        for verify in (False, True):
            with self.subTest(place=place, how=how, who=who, verify=verify):
                usual = self.survey(who=who, verify=verify)
                blind = self.survey(prepare, who=(*before, *who), verify=verify)
                truly_no = self.REFUSE_TO_RUN if verify else ()
                self.assert_honest(usual, blind, truly_no)
                if not verify:
                    self.assertLessEqual(set(expected), self.unknowns(blind))
                for name in truly_no:
                    # In the program's own words, and not because nothing could be tried.
                    if (blind[name]["status"], usual[name]["status"]) == ("no", "yes"):
                        self.assertNotIn("open /proc/self", blind[name]["reason"])

    def test_settings(self):
        expected = ("user_namespaces", "seccomp_filter", "ip_forwarding", "inotify_headroom")
        self.hide("/proc/sys", EMPTY, expected=expected)
        self.hide("/proc/sys", CLOSED, ORDINARY, expected)

    def test_sysfs(self):
        expected = ("can_write_cgroup_root", "cgroup_version", "cgroup_delegation", "apparmor")
        self.hide("/sys", EMPTY, expected=expected)
        self.hide("/sys", CLOSED, ORDINARY, expected)

    def test_the_list_of_file_systems(self):
        self.hide("/proc/filesystems", "mount --bind /dev/null {0}", expected=("selinux",))
        closed = "mount -t tmpfs tmpfs /mnt; touch /mnt/no; chmod 0 /mnt/no; mount --bind /mnt/no {0}"
        self.hide("/proc/filesystems", closed, ORDINARY, ("selinux",))

    def test_everything_of_proc(self):
        expected = ("is_nested", "cgroup_parent", "container", "user_namespaces", "seccomp_filter")
        self.hide("/proc", EMPTY, expected=expected)
        self.hide("/proc", CLOSED, ORDINARY, expected)

    def test_no_proc_at_all(self):
        expected = ("is_nested", "cgroup_parent", "container", "user_namespaces", "subordinate_ids")
        self.hide("/proc", ABSENT, expected=expected, before=("unshare", "-pf"))
        self.hide("/proc", ABSENT, ORDINARY, expected[:4], before=("unshare", "-pf"))

    def test_the_table_of_mounts_is_not_all_that_tells_the_hierarchies_apart(self):
        usual = self.survey()["cgroup_version"]
        blind = self.survey(EMPTY.format("/proc"))["cgroup_version"]
        self.assertEqual((blind["status"], blind["value"]), (usual["status"], usual["value"]))


@needs_root
class AnotherProc(Case):
    """In a PID namespace with the /proc of the outer one, where our numbers are others' ones."""

    def test_nobody_else_is_taken_for_the_own_child(self):
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                usual = self.survey(who=(*who, "unshare", "-Ur"), verify=True)
                there = self.survey(who=(*who, "unshare", "-Urpf"), verify=True)
                for name in ("pasta_available", "subordinate_ids", "user_namespaces"):
                    told = (there[name]["status"], usual[name]["status"])
                    self.assertEqual(*told, json.dumps(there[name], indent=2))

    def test_the_child_whose_ids_are_mapped_is_the_own_one(self):
        # Several times: what a verification leaves running for a moment is listed in /proc under
        # a number that is another's here, and has to be reaped all the same.
        for _ in range(10):
            mapped = self.survey(who=("unshare", "-pf"), verify=True)["subordinate_ids"]
            self.assertEqual(mapped["status"], "yes", json.dumps(mapped, indent=2))


@needs_root
class Bare(Case):
    """A chroot with the binary, its libraries and nothing else."""

    # What is really not there.
    TRULY_NO = (
        "tun_device_available",
        "fuse_overlayfs_rootfs_available",
        "pasta_available",
        "kvm",
        "idmapped_mounts",
    )

    def survey_in_chroot(self, user):
        libraries = subprocess.run(["ldd", self.binary], capture_output=True, text=True, check=True)
        files = [word for word in libraries.stdout.split() if word.startswith("/")]
        root = Path(tempfile.mkdtemp(dir=self.directory))
        root.chmod(0o755)
        for file in files:
            target = root / file[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        shutil.copy(self.binary, root / "surveyd")
        words = ["chroot", f"--userspec={user}:{user}", str(root), "/surveyd", "survey", "--all", "--json"]
        words += ["--storage", str(self.storage)]
        ended = subprocess.run(
            words,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return {one["id"]: one for one in json.loads(ended.stdout)["findings"]}

    def test_only_what_is_not_there_is_absent(self):
        for uid, who in ((0, ()), (STRANGER, ORDINARY)):
            with self.subTest(uid=uid):
                usual = self.survey(who=who)
                bare = self.survey_in_chroot(uid)
                on_path = [name for name in usual if name.startswith("overlayfs_on_")]
                truly_no = (*self.TRULY_NO, *on_path)
                # newuidmap is not there either.
                truly_no += ("subordinate_ids",) if uid else ()
                self.assert_honest(usual, bare, truly_no)


@needs_root
class Descriptors(Case):
    def assert_scarce(self, usual, scarce):
        self.assert_honest(usual, scarce, codes={"out_of_resources"})
        for name in self.unknowns(scarce) - self.unknowns(usual):
            errnos = [one.get("errno") for one in scarce[name]["evidence"]]
            self.assertIn("EMFILE", errnos, json.dumps(scarce[name], indent=2))

    def test_that_many_are_free(self):
        code = "import os\ntry:\n  while True: print(os.dup(0))\nexcept OSError: pass"
        words = [*SCARCE, sys.executable, "-c", code]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(ended.stdout.split(), ["3", "4", "5"], ended.stderr)

    def test_a_survey_with_three(self):
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                usual, scarce = self.survey(who=who), self.survey(who=(*who, *SCARCE))
                self.assertIn("psi", self.unknowns(scarce))  # it was felt
                self.assert_scarce(usual, scarce)

    def test_a_verification_with_three(self):
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                claims = self.survey(who=who)
                tried = self.survey(who=who, verify=True)
                scarce = self.survey(who=(*who, *SCARCE), verify=True)
                usual = {
                    name: (tried if one["basis"] == "verified" else claims)[name]
                    for name, one in scarce.items()
                }
                self.assert_scarce(usual, scarce)

    def test_a_daemon_with_three_with_none_and_with_enough_again(self):
        def findings(connection):
            answer = connection.request("GET", "/findings")
            self.assertEqual(answer.status, 200, answer.body)
            return {one["id"]: one for one in answer.json()["findings"]}

        def survey(connection):
            headers = {"Content-Type": "application/json"}
            answer = connection.request("POST", "/survey", headers, b"{}")
            self.assertEqual(answer.status, 200, answer.body)
            return findings(connection)

        arguments = ("--storage", str(self.storage), "--interval", "1")
        with Daemon(*arguments) as daemon, daemon.connect() as connection:
            usual = survey(connection)
            before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)

            def leave(count):
                opened = {int(name) for name in os.listdir(f"/proc/{daemon.pid}/fd")}
                free = [number for number in range(len(opened) + count) if number not in opened]
                limit = free[count - 1] + 1 if count else 0
                resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, before[1]))

            leave(FREE_DESCRIPTORS)
            self.assert_honest(usual, survey(connection), codes={"out_of_resources"})
            # Who may ask for a survey cannot be found out without one; they come by themselves.
            leave(0)
            daemon.eventually(
                lambda: findings(connection)["psi"]["status"] == "unknown", "no pressure is read"
            )
            self.assert_honest(usual, findings(connection), codes={"out_of_resources"})
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
            for name, finding in survey(connection).items():
                self.assertEqual(finding["status"], usual[name]["status"], name)


if __name__ == "__main__":
    unittest.main()
