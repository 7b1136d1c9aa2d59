"""What a verification finds on a real kernel where the cheap signs lie, and that it leaves nothing
behind."""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import users  # noqa: E402
from daemon import clean_environment, needs_root, program, public_binary  # noqa: E402
from users import STRANGER  # noqa: E402

VERIFICATIONS = int(os.environ.get("SURVEYD_VERIFICATIONS", "20"))
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

# Commands that make a program run as somebody.
ORDINARY = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
ONLY_NET_ADMIN = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all")
# In a private mount namespace: what is needed for device nodes of one's own.
DEVICES = "mount -t tmpfs -o mode=755 tmpfs /mnt"
TUN_FOR_EVERYBODY = f"""{DEVICES}
mknod /mnt/tun c 10 200 && chmod 666 /mnt/tun && mount --bind /mnt/tun /dev/net/tun"""

libc = ctypes.CDLL(None, use_errno=True)


class Case(unittest.TestCase):
    """A binary that everybody may run, and a storage path on a disk that is everybody's."""

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        cls.binary = public_binary(cls.directory)
        cls.storage = Path(cls.directory, "storage")
        cls.storage.mkdir()
        cls.storage.chmod(0o1777)

    def verify(self, prepare="", *, who=(), storage=None, options=()):
        """The findings by id, after the commands of `prepare` in a private mount namespace."""
        words = [*who, self.binary, "survey", "--verify", "--json", "--all"]
        words += ["--storage", str(storage or self.storage), *options]
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

    def assert_verified(self, finding, status, code="available"):
        told = (finding["basis"], finding["status"], finding["reason_code"])
        self.assertEqual(told, ("verified", status, code), json.dumps(finding, indent=2))

    def came_back(self, finding, source):
        """What came back from the first thing that was tried under this name."""
        for one in finding["evidence"]:
            if one["source"].startswith(source):
                return one.get("errno") or one["value"]
        self.fail(f"no {source} in {json.dumps(finding, indent=2)}")


@needs_root
class Tun(Case):
    def tun(self, *arguments, **keywords):
        return self.verify(*arguments, **keywords)["tun_device_available"]

    def test_a_node_for_everybody_makes_an_interface_in_a_user_namespace_only(self):
        def set_interface():
            file = os.open("/dev/net/tun", os.O_RDWR)
            request = struct.pack("16sH14x", b"", IFF_TUN | IFF_NO_PI)
            try:
                fcntl.ioctl(file, TUNSETIFF, request)
            except OSError as error:
                return error.errno
            return 0

        def everybody():
            assert libc.unshare(CLONE_NEWNS) == 0
            assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
            subprocess.run(["sh", "-ec", TUN_FOR_EVERYBODY], check=True)
            return users.call(set_interface, uid=STRANGER)

        self.assertEqual(users.call(everybody), errno.EPERM)
        finding = self.tun(TUN_FOR_EVERYBODY, who=ORDINARY)
        self.assert_verified(finding, "yes")
        self.assertEqual(self.came_back(finding, "with the own rights"), "EPERM")
        self.assertEqual(self.came_back(finding, "in an own user namespace"), "works")
        self.assertIn("only", finding["reason"])

    def test_a_node_for_everybody_is_no_use_where_no_namespaces_may_be_made(self):
        limit = "for kind in user net; do echo 0 >/proc/sys/user/max_${kind}_namespaces; done"
        who = ("unshare", "-Ur", "sh", "-ec", f'{limit}; exec "$@"', "sh")
        finding = self.tun(TUN_FOR_EVERYBODY, who=who)
        self.assert_verified(finding, "no", "refused")
        self.assertEqual(
            self.came_back(finding, "in the network namespace that is in use"), "EPERM"
        )

    def test_a_regular_file_is_not_the_device(self):
        finding = self.tun(f"{DEVICES}\ntouch /mnt/tun; mount --bind /mnt/tun /dev/net/tun")
        self.assert_verified(finding, "no", "not_the_device")
        self.assertIn("ENOTTY", finding["reason"])

    def test_a_link_to_dev_null_is_not_the_device(self):
        finding = self.tun("mount -t tmpfs tmpfs /dev/net\nln -s /dev/null /dev/net/tun")
        self.assert_verified(finding, "no", "not_the_device")
        self.assertIn("ENOTTY", finding["reason"])

    def test_it_is_tried_in_place_by_whom_only_cap_net_admin_is_left(self):
        finding = self.tun(who=ONLY_NET_ADMIN)
        self.assert_verified(finding, "yes")
        self.assertEqual(
            self.came_back(finding, "in the network namespace that is in use"), "works"
        )
        self.assertEqual(self.interfaces_named_tun(), set())

    def test_root_without_capabilities_makes_none(self):
        self.assert_verified(self.tun(who=WITHOUT_CAPABILITIES), "no", "refused")

    def interfaces_named_tun(self):
        return {name for name in os.listdir("/sys/class/net") if name.startswith("tun")}


@needs_root
class Overlay(Case):
    def overlay(self, *arguments, **keywords):
        return self.verify(*arguments, **keywords)["overlayfs_rootfs_available"]

    def remove_merged_directory(self, options):
        """As root of a user namespace: mounts, and removes a directory that both lowers have."""
        directory = tempfile.mkdtemp(dir=self.storage)
        names = ("upper", "work", "merged", "a/both", "b/both")
        for name in names:
            os.makedirs(f"{directory}/{name}")
        for lower in "ab":
            Path(directory, lower, "both", "below").touch()
        assert libc.unshare(CLONE_NEWNS) == 0
        assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        os.chdir(directory)
        options = f"lowerdir=a:b,upperdir=upper,workdir=work{options}".encode()
        if libc.mount(b"overlay", b"merged", b"overlay", 0, options) != 0:
            return f"mount: {errno.errorcode[ctypes.get_errno()]}"
        try:
            os.unlink("merged/both/below")
            os.rmdir("merged/both")
        except OSError as error:
            return f"{error.strerror}: {errno.errorcode[error.errno]}"
        return "removed"

    def remove_as_root_of_a_namespace(self, options):
        return users.call(
            lambda: self.remove_merged_directory(options),
            uid=STRANGER,
            prepare=users.become_root_of_own_namespace,
        )

    def test_without_userxattr_the_mount_is_a_trap_and_the_answer_is_true_all_the_same(self):
        self.assertIn("EIO", self.remove_as_root_of_a_namespace(""))
        self.assertEqual(self.remove_as_root_of_a_namespace(",userxattr"), "removed")
        for who in (ORDINARY, (*ORDINARY, "unshare", "-Ur")):
            with self.subTest(who=who):
                self.assert_verified(self.overlay(who=who), "yes")

    def test_the_value_says_with_whose_rights(self):
        self.assertEqual(self.overlay()["value"], "direct")
        self.assertEqual(self.overlay(who=ORDINARY)["value"], "user_namespace")

    def test_root_without_capabilities_mounts_nothing(self):
        finding = self.overlay(who=WITHOUT_CAPABILITIES)
        self.assertEqual((finding["basis"], finding["status"]), ("verified", "no"))
        self.assertEqual(self.came_back(finding, "in an own user namespace"), "EPERM")

    def test_euid_decides_and_not_ruid(self):
        finding = self.overlay(who=("setpriv", f"--ruid={STRANGER}"))
        self.assert_verified(finding, "yes")
        self.assertEqual(finding["value"], "direct")
        finding = self.overlay(who=("setpriv", f"--euid={STRANGER}", "--clear-groups"))
        self.assert_verified(finding, "yes")
        self.assertEqual(finding["value"], "user_namespace")

    def test_a_path_with_the_separators_of_mount_options_is_a_path(self):
        # fuse-overlayfs itself takes no colon in the upper directory; a comma ends a --storage.
        for name, path in (("overlayfs", "a:b c\\d"), ("fuse_overlayfs", "a c d")):
            if name.startswith("fuse") and shutil.which("fuse-overlayfs") is None:
                continue
            storage = Path(self.directory, path)
            storage.mkdir()
            finding = self.verify(storage=storage)[f"{name}_rootfs_available"]
            with self.subTest(name):
                self.assert_verified(finding, "yes")
                self.assertNotIn("tmpfs", finding["reason"])

    def test_a_path_that_is_not_ours_is_tried_elsewhere_and_answered_for_itself(self):
        storage = Path(self.directory, "roots")
        storage.mkdir(mode=0o755)
        findings = self.verify(who=ORDINARY, storage=storage)
        self.assert_verified(findings["overlayfs_rootfs_available"], "yes")
        self.assertIn("tmpfs", findings["overlayfs_rootfs_available"]["reason"])
        (on_path,) = (one for name, one in findings.items() if name.startswith("overlayfs_on_"))
        self.assertEqual(on_path["status"], "no")

    def test_a_chroot_that_is_no_mount_point_can_hold_none(self):
        root = Path(self.directory, "chroot")
        for name in ("usr", "proc", "tmp", "var/lib"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        shutil.copy(self.binary, root / "surveyd")
        prepare = f"mount --bind /usr {root}/usr\nmount -t proc proc {root}/proc"
        who = ("chroot", str(root), "/usr/bin/env", "--")
        try:
            self.__class__.binary, binary = "/surveyd", self.binary
            findings = self.verify(prepare, who=who, storage="/var/lib")
        finally:
            self.__class__.binary = binary
        self.assert_verified(findings["overlayfs_rootfs_available"], "no", "refused")
        self.assertIn("EINVAL", findings["overlayfs_rootfs_available"]["reason"])
        self.assert_verified(findings["user_namespaces"], "no", "refused")


@needs_root
class Programs(Case):
    FUSE_FOR_EVERYBODY = f"""{DEVICES}
mknod /mnt/fuse c 10 229 && chmod 666 /mnt/fuse && mount --bind /mnt/fuse /dev/fuse"""

    def test_fuse_overlayfs_mounts_for_whom_the_device_opens(self):
        program("fuse-overlayfs")
        for who, prepare, status in (
            ((), "", "yes"),
            (ORDINARY, self.FUSE_FOR_EVERYBODY, "yes"),
            (ORDINARY, f"{self.FUSE_FOR_EVERYBODY}; chmod 600 /mnt/fuse", "no"),
        ):
            with self.subTest(who=who, prepare=prepare):
                finding = self.verify(prepare, who=who)["fuse_overlayfs_rootfs_available"]
                self.assertEqual((finding["basis"], finding["status"]), ("verified", status))

    def test_pasta_connects_where_there_is_a_route(self):
        program("pasta")
        if Path("/proc/net/route").read_text().count("\n") < 2:
            self.skipTest("this machine has no route")
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                finding = self.verify(TUN_FOR_EVERYBODY, who=who)["pasta_available"]
                self.assert_verified(finding, "yes")

    def test_pasta_connects_nothing_where_there_is_no_route(self):
        program("pasta")
        finding = self.verify(who=("unshare", "-n"))["pasta_available"]
        self.assert_verified(finding, "no", "refused")


@needs_root
class SubordinateIds(Case):
    RANGES = f"""{DEVICES}
echo {STRANGER}:200000:65536 >/mnt/ranges
mount --bind /mnt/ranges /etc/subuid; mount --bind /mnt/ranges /etc/subgid
{{ cat /etc/passwd; echo stranger:x:{STRANGER}:{STRANGER}::/:/bin/sh; }} >/mnt/passwd
mount --bind /mnt/passwd /etc/passwd"""

    def setUp(self):
        self.program = program("newuidmap")

    def ids(self, prepare="", who=ORDINARY):
        return self.verify(self.RANGES + prepare, who=who)["subordinate_ids"]

    def another_program(self, change):
        # Not on the tmpfs: it may not hold file capabilities before Linux 6.6.
        copy = Path(self.directory, "newuidmap")
        return f"""
install -m 755 {self.program} {copy}
{change.format(copy)}
mount --bind {copy} {self.program}"""

    def test_a_range_is_mapped(self):
        finding = self.ids()
        self.assert_verified(finding, "yes")
        self.assertIn("200000", self.came_back(finding, "uid_map of a child"))

    def test_file_capabilities_do_as_well_as_set_user_id(self):
        program("setcap")
        self.assert_verified(self.ids(self.another_program("setcap cap_setuid+ep {}")), "yes")

    def test_a_program_without_privileges_maps_nothing(self):
        finding = self.ids(self.another_program(":"))
        self.assert_verified(finding, "no", "program_unprivileged")

    def test_root_maps_by_itself(self):
        self.assert_verified(self.ids(who=()), "yes")

    def test_no_new_privileges_take_it_away(self):
        finding = self.ids(who=(*ORDINARY, "--no-new-privs"))
        self.assert_verified(finding, "no", "program_unprivileged")


@needs_root
class UserNamespaces(Case):
    def test_both_root_and_an_ordinary_user_make_and_use_them(self):
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                self.assert_verified(self.verify(who=who)["user_namespaces"], "yes")

    def test_a_mount_namespace_is_part_of_it(self):
        limit = "echo 0 >/proc/sys/user/max_mnt_namespaces"
        who = ("unshare", "-Ur", "sh", "-ec", f'{limit}; exec "$@"', "sh")
        finding = self.verify(who=who)["user_namespaces"]
        self.assert_verified(finding, "no", "limit_reached")
        self.assertEqual(self.came_back(finding, "in an own user namespace"), "ENOSPC")


@needs_root
class Descriptors(Case):
    IDS = (
        "tun_device_available",
        "overlayfs_rootfs_available",
        "fuse_overlayfs_rootfs_available",
        "pasta_available",
        "user_namespaces",
        "subordinate_ids",
        "idmapped_mounts",
    )

    def test_too_few_never_turn_an_answer_into_no(self):
        usual = self.verify()
        for limit in range(5, 25):
            who = ("prlimit", f"--nofile={limit}:{limit}")
            try:
                scarce = self.verify(who=who)
            except AssertionError:
                continue  # it does not even start
            for name in self.IDS:
                with self.subTest(name, limit=limit):
                    allowed = (usual[name]["status"], "unknown")
                    self.assertIn(scarce[name]["status"], allowed, scarce[name])


def modules():
    try:
        lines = Path("/proc/modules").read_text().splitlines()
    except FileNotFoundError:
        return None  # a kernel without loadable modules
    return sorted(line.split()[0] for line in lines)


def state_of_the_machine(storage):
    """What a verification could leave behind; only what is not this process's own to change."""

    def lines(command):
        return sorted(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())

    own = lines(["ps", "-o", "args=", "--ppid", str(os.getpid())])
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "modules": modules(),
        "links": sorted(os.listdir("/sys/class/net")),
        "storage": sorted(map(str, storage.rglob("*"))),
        "children": [line for line in own if not line.startswith("ps ")],
        "helpers": [
            line
            for line in lines(["ps", "-eo", "args="])
            if line.startswith(str(storage.parent)) or str(storage) in line
        ],
        "cgroups": sorted(path for path, _, _ in os.walk("/sys/fs/cgroup")),
    }


@needs_root
class Traces(Case):
    def test_verifications_leave_nothing_behind(self):
        for who in ((), ORDINARY):
            with self.subTest(who=who):
                self.verify(who=who)  # what the first of all has the kernel load stays loaded
                before = state_of_the_machine(self.storage)
                for _ in range(VERIFICATIONS):
                    self.verify(who=who)
                after = state_of_the_machine(self.storage)
                for name, value in before.items():
                    self.assertEqual(after[name], value, name)


if __name__ == "__main__":
    unittest.main()
