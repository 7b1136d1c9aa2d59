"""Common failures, produced in private namespaces: what the remedy says is done to the letter there,
and then the answer is yes."""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import Tree, in_cgroup  # noqa: E402
from daemon import (  # noqa: E402
    clean_environment,
    eventually,
    needs_root,
    program,
    public_binary,
    with_descendants,
)
from users import STRANGER  # noqa: E402

SECONDS = 120
ORDINARY = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
FOR_CONTAINERS = {"cpu", "memory", "pids"}
TUN, FUSE = "c 10 200", "c 10 229"
NO_NODE = "mount -t tmpfs -o mode=755 tmpfs /dev/net"
# A process id namespace of its own is what tells surveyd that it is in a container.
CONTAINER = ("--pid", "--fork", "--mount-proc", "--kill-child")
# What changes below these directories is seen in the namespace only.
OWN_FILES = """mount -t tmpfs -o mode=755 tmpfs /mnt
for name in etc usr var; do
  mkdir -p /mnt/$name/upper /mnt/$name/work
  mount -t overlay -o lowerdir=/$name,upperdir=/mnt/$name/upper,workdir=/mnt/$name/work o /$name
done"""
TESTER = "remedied"
ADD_TESTER = f"""groupadd -g {STRANGER} {TESTER}
useradd -K UID_MAX={STRANGER} -u {STRANGER} -g {STRANGER} -M {TESTER}
: >/etc/subuid; : >/etc/subgid"""
# As grub-mkconfig composes the kernel's arguments on Debian, which reads *.cfg there.
UPDATE_GRUB = """#!/bin/sh
. /etc/default/grub
for file in /etc/default/grub.d/*.cfg; do [ ! -e "$file" ] || . "$file"; done
echo "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT" >/mnt/cmdline
"""


def device(path, numbers, mode, *options):
    """Commands that cover a path by a node of this mode."""
    return f"""mount -t tmpfs -o {",".join(("mode=755", *options))} tmpfs /mnt
mknod -m {mode} /mnt/node {numbers} && mount --bind /mnt/node {path}"""


class Place:
    """Private namespaces that a process keeps, after some commands of root there."""

    def __init__(self, prepare, options=(), prefix=()):
        script = f"set -e\n{prepare}\necho ready\nexec cat"
        self._holder = subprocess.Popen(
            [*prefix, "unshare", "--mount", "--propagation=private", *options, "sh", "-c", script],
            env=clean_environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        self._holder.__enter__()
        for line in self._holder.stdout:
            if line == "ready\n":
                self._target = with_descendants(self._holder.pid)[-1]
                return self
        self._holder.__exit__(None, None, None)
        raise AssertionError("the environment could not be made")

    def __exit__(self, *_):
        self._holder.stdin.close()
        self._holder.__exit__(None, None, None)

    def command(self, *words):
        """A command that runs there as root."""
        return ["nsenter", "--target", str(self._target), "--all", "--", *words]

    def run(self, *words):
        return subprocess.run(
            self.command(*words),
            env=clean_environment({"DEBIAN_FRONTEND": "noninteractive"}),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )


class Case(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/run"))
        cls.binary = public_binary(cls.directory)

    def place(self, prepare, options=(), prefix=()):
        return self.enterContext(Place(prepare, options, prefix))

    def ask(self, place, name, who=(), options=()):
        words = [*who, self.binary, "explain", name, "--json", *self.settings, *options]
        ended = place.run(*words)
        self.assertIn(ended.returncode, (0, 1), ended.stderr)
        return json.loads(ended.stdout)

    def refused(self, place, name, code, who=(), options=()):
        finding = self.ask(place, name, who, options)
        told = (finding["status"], finding["reason_code"])
        self.assertEqual(told, ("no", code), json.dumps(finding, indent=2))
        return finding

    def text_of(self, finding, *parts):
        """What the remedy says where nothing can be pasted."""
        remedy = finding["remedy"]
        self.assertIsNotNone(remedy, json.dumps(finding, indent=2))
        self.assertFalse(remedy.get("command"), remedy)
        for part in parts:
            self.assertIn(part, remedy["text"])
        return remedy["text"]

    def paste(self, place, finding):
        self.assertIsNotNone(finding["remedy"], json.dumps(finding, indent=2))
        command = finding["remedy"]["command"]
        self.assertTrue(command, finding["remedy"])
        ended = place.run("sh", "-c", command)
        self.assertEqual(ended.returncode, 0, f"{command}\n{ended.stdout}{ended.stderr}")
        return command

    def assert_yes(self, finding):
        self.assertEqual(finding["status"], "yes", json.dumps(finding, indent=2))

    def assert_mended(self, place, name, code, who=(), options=(), verified=True):
        """The command that is printed turns the answer, and trying agrees."""
        self.paste(place, self.refused(place, name, code, who, options))
        self.assert_yes(self.ask(place, name, who, options))
        if verified:
            self.assert_yes(self.ask(place, name, who, (*options, "--verify")))


@needs_root
class NoTunNode(Case):
    name = "tun_device_available"

    def test_the_node_is_made(self):
        self.assert_mended(self.place(NO_NODE), self.name, "device_missing")

    def test_a_directory_that_is_not_there_is_made_too(self):
        prepare = "mount -t tmpfs -o mode=755 tmpfs /dev"
        self.assert_mended(self.place(prepare), self.name, "device_missing")

    def test_a_container_is_started_with_the_device(self):
        place = self.place(NO_NODE, CONTAINER)
        finding = self.refused(place, self.name, "device_missing")
        option = "--device /dev/net/tun"
        self.text_of(finding, f"docker run {option}")
        # What a runtime does for this option: the host's node, bind-mounted into the container.
        started = self.place(
            f"mount -t tmpfs tmpfs /mnt; touch /mnt/tun; mount --bind /dev/net/tun /mnt/tun\n"
            f"{NO_NODE}\ntouch /dev/net/tun; mount --bind /mnt/tun /dev/net/tun",
            CONTAINER,
        )
        self.assert_yes(self.ask(started, self.name))

    def test_a_node_of_root_alone_is_opened_to_all(self):
        place = self.place(device("/dev/net/tun", TUN, 600))
        self.assert_mended(place, self.name, "device_denied", who=ORDINARY)

    def test_what_is_no_device_is_replaced(self):
        for prepare in ("touch /dev/net/tun", "ln -s /dev/null /dev/net/tun"):
            with self.subTest(prepare):
                place = self.place(f"{NO_NODE}\n{prepare}")
                finding = self.refused(place, self.name, "not_the_device", options=("--verify",))
                self.paste(place, finding)
                self.assert_yes(self.ask(place, self.name, options=("--verify",)))


@needs_root
class NoNetAdmin(Case):
    name = "has_cap_net_admin"
    code = "capability_missing"
    DROPPED = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")

    def test_whoever_dropped_it_does_not(self):
        place = self.place("")
        finding = self.refused(place, self.name, self.code, who=self.DROPPED)
        self.text_of(finding, "CAP_NET_ADMIN in its bounding set")
        self.assert_yes(self.ask(place, self.name))

    def test_an_ordinary_user_becomes_root_or_gets_it_as_an_ambient_one(self):
        place = self.place("")
        finding = self.refused(place, self.name, self.code, who=ORDINARY)
        self.text_of(finding, "Run as root", "AmbientCapabilities=CAP_NET_ADMIN")
        self.assert_yes(self.ask(place, self.name))
        # What systemd does for AmbientCapabilities= and User=.
        ambient = ("--inh-caps=+net_admin", "--ambient-caps=+net_admin")
        self.assert_yes(self.ask(place, self.name, who=(*ORDINARY, *ambient)))

    def test_a_container_is_started_with_the_capability(self):
        place = self.place("", CONTAINER)
        finding = self.refused(place, self.name, self.code, who=self.DROPPED)
        self.text_of(finding, "docker run --cap-add=NET_ADMIN")
        # The option leaves the capability in the bounding set of the container's root.
        started = (*self.DROPPED[:1], "--bounding-set=-all,+net_admin")
        self.assert_yes(self.ask(place, self.name, who=started))

    def test_a_container_that_has_it_is_entered_as_root(self):
        place = self.place("", CONTAINER)
        finding = self.refused(place, self.name, self.code, who=ORDINARY)
        self.text_of(finding, "Run as root in the container")
        self.assert_yes(self.ask(place, self.name))


@needs_root
class NoUserNamespaces(Case):
    def test_the_limit_of_0_is_lifted_now_and_for_every_boot(self):
        # A sysctl of each user namespace: the machine keeps its own.
        prepare = "echo 0 >/proc/sys/user/max_user_namespaces"
        files = ("unshare", "-m", "sh", "-ec", f'{OWN_FILES}\nexec "$@"', "sh")
        place = self.place(prepare, ("--user", "--map-root-user"), files)
        finding = self.refused(place, "user_namespaces", "disabled_by_sysctl")
        for options in ((), ("--verify",)):
            self.refused(place, "user_namespaces", "disabled_by_sysctl", options=options)
        self.paste(place, finding)
        for options in ((), ("--verify",)):
            self.assert_yes(self.ask(place, "user_namespaces", options=options))
        # The file is one that sysctl takes, as it does at boot.
        place.run("sh", "-c", prepare)
        (file,) = re.findall(r"/etc/sysctl.d/\S+$", finding["remedy"]["command"])
        self.assertEqual(place.run("sysctl", "-p", file).returncode, 0)
        self.assert_yes(self.ask(place, "user_namespaces"))


class Packages(Case):
    """A Debian archive of what is installed here, made anew: nothing is fetched."""

    def archive_of(self, package):
        """Commands that leave apt this package alone to install, and take it off."""
        program("dpkg-deb")
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
        if listed.returncode != 0:
            self.skipTest(f"the package {package} is not installed")
        files = [Path(line) for line in listed.stdout.splitlines()]
        files = [path for path in files if path.is_file() and "/share/" not in str(path)]
        with tempfile.TemporaryDirectory() as directory:
            for path in files:
                place = Path(directory) / path.relative_to("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-p", path, place], check=True)
            Path(directory, "DEBIAN").mkdir()
            control = (
                f"Package: {package}\nVersion: 99\nArchitecture: all\n"
                "Maintainer: nobody <nobody@example.org>\nDescription: made anew\n"
            )
            Path(directory, "DEBIAN/control").write_text(control, encoding="ascii")
            archive = Path(self.directory, f"{package}-archive")
            archive.mkdir(exist_ok=True)
            subprocess.run(
                ["dpkg-deb", "--build", "-Znone", directory, archive / f"{package}.deb"],
                check=True,
                capture_output=True,
            )
        data = (archive / f"{package}.deb").read_bytes()
        (archive / "Packages").write_text(
            f"{control}Filename: ./{package}.deb\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n",
            encoding="ascii",
        )
        os.chmod(archive, 0o755)
        return f"""rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists
mkdir -p /var/lib/apt/lists/partial
echo 'deb [trusted=yes] file:{archive} ./' >/etc/apt/sources.list
apt-get update >/dev/null
dpkg --remove --force-all {package} >/dev/null 2>&1
rm -f {shlex.join(str(path) for path in files)}"""


@needs_root
class NoSubordinateIds(Packages):
    name = "subordinate_ids"

    def test_a_user_without_a_range_gets_one(self):
        for few in ("", f"echo {TESTER}:100000:1000 | tee /etc/subuid >/etc/subgid"):
            with self.subTest(few):
                place = self.place(f"{OWN_FILES}\n{ADD_TESTER}\n{few}")
                code = "too_few_subordinate_ids" if few else "no_subordinate_ids"
                self.assert_mended(place, self.name, code, who=ORDINARY)

    def test_the_files_need_not_be_there_and_another_user_keeps_his(self):
        place = self.place(f"{OWN_FILES}\n{ADD_TESTER}\nrm /etc/subgid /etc/subuid")
        self.assert_mended(place, self.name, "no_subordinate_ids", who=ORDINARY)
        place = self.place(f"{OWN_FILES}\n{ADD_TESTER}\necho other:100000:65536 >/etc/subuid")
        self.assert_mended(place, self.name, "no_subordinate_ids", who=ORDINARY)
        ranges = place.run("cat", "/etc/subuid").stdout.split()
        self.assertEqual(ranges[0], "other:100000:65536")
        self.assertGreaterEqual(int(ranges[1].split(":")[1]), 165536)

    def test_programs_without_privileges_get_theirs(self):
        take = "chmod u-s $(command -v newuidmap newgidmap); setcap -r $(command -v newuidmap)"
        ranges = f"echo {TESTER}:100000:65536 | tee /etc/subuid >/etc/subgid"
        place = self.place(f"{OWN_FILES}\n{ADD_TESTER}\n{ranges}\n{take} 2>/dev/null || true")
        self.assert_mended(place, self.name, "program_unprivileged", who=ORDINARY)

    def test_the_package_brings_the_programs(self):
        ranges = f"echo {TESTER}:100000:65536 | tee /etc/subuid >/etc/subgid"
        prepare = f"{OWN_FILES}\n{ADD_TESTER}\n{ranges}\n{self.archive_of('uidmap')}"
        self.assert_mended(self.place(prepare), self.name, "program_missing", who=ORDINARY)


@needs_root
class NoFuseOverlayfs(Packages):
    name = "fuse_overlayfs_rootfs_available"

    def setUp(self):
        program("fuse-overlayfs")

    def test_the_package_is_installed(self):
        place = self.place(f"{OWN_FILES}\n{self.archive_of('fuse-overlayfs')}")
        self.assert_mended(place, self.name, "program_missing")

    def test_in_a_container_it_belongs_in_the_image(self):
        place = self.place(f"{OWN_FILES}\nrm /usr/bin/fuse-overlayfs", CONTAINER)
        finding = self.refused(place, self.name, "program_missing")
        self.text_of(finding, "Add fuse-overlayfs to the image")
        self.assert_yes(self.ask(self.place("", CONTAINER), self.name))

    def test_a_device_of_root_alone_is_opened_to_all(self):
        place = self.place(device("/dev/fuse", FUSE, 600))
        self.assert_mended(place, self.name, "device_denied", who=ORDINARY)

    def test_a_device_that_is_missing_is_made(self):
        place = self.place("mount -t tmpfs -o mode=755 tmpfs /dev\nmknod /dev/null c 1 3")
        self.assert_mended(place, self.name, "device_missing")

    def test_both_at_once_are_one_command(self):
        archive = self.archive_of("fuse-overlayfs")
        devices = "mount -t tmpfs -o mode=755 tmpfs /dev\nmknod -m 666 /dev/null c 1 3"
        place = self.place(f"{OWN_FILES}\n{archive}\n{devices}")
        self.assert_mended(place, self.name, "device_missing")

    def test_no_mode_helps_where_the_mount_has_no_devices(self):
        for mode in (600, 666):
            with self.subTest(mode):
                place = self.place(device("/dev/fuse", FUSE, mode, "nodev"))
                finding = self.refused(place, self.name, "device_denied")
                self.text_of(finding, "without nodev")
                ended = place.run("mount", "-o", "remount,bind,dev", "/dev/fuse")
                self.assertEqual(ended.returncode, 0, ended.stderr)
                self.assert_yes(self.ask(place, self.name))


class Cgroups(Case):
    def setUp(self):
        self.tree = self.enterContext(Tree())
        self.tree.own.mkdir()
        self.settings = ("--cgroup-name", self.tree.name)
        self.works = bool(self.tree.offered & FOR_CONTAINERS)

    def assert_placed(self, place, name):
        """Yes; or where cgroup v1 has the controllers, nothing but that is in the way."""
        finding = self.ask(place, name)
        if self.works:
            self.assert_yes(finding)
        else:
            self.assertEqual(finding["reason_code"], "no_container_controllers", finding)


@needs_root
class ReadOnlyCgroups(Cgroups):
    READ_ONLY = "mount -o remount,ro,bind /sys/fs/cgroup"

    def test_they_are_mounted_writable(self):
        place = self.place(self.READ_ONLY, prefix=self.tree.inside)
        self.assert_mended(place, "can_write_cgroup_root", "read_only")

    def test_a_place_for_containers_is_among_them(self):
        place = self.place(self.READ_ONLY, prefix=self.tree.inside)
        self.paste(place, self.refused(place, "cgroup_host_placement", "read_only"))
        self.assert_placed(place, "cgroup_host_placement")

    def test_in_a_container_they_are_for_the_runtime_to_mount(self):
        place = self.place(self.READ_ONLY, CONTAINER, self.tree.inside)
        finding = self.refused(place, "can_write_cgroup_root", "read_only")
        self.text_of(finding, "-v /sys/fs/cgroup:/sys/fs/cgroup:rw")
        started = self.place("", CONTAINER, self.tree.inside)
        self.assert_yes(self.ask(started, "can_write_cgroup_root"))

    def test_the_container_parent_is_made_by_the_request_that_is_named(self):
        program("curl")
        # The port of the command belongs to nobody in a network of its own.
        place = self.place("ip link set lo up", ("--net",), self.tree.inside)
        finding = self.refused(place, "cgroup_delegation", "not_ensured")
        words = ("serve", "--unix-socket", "none", *self.settings)
        with subprocess.Popen(
            place.command(self.binary, *words),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as daemon:
            try:
                answers = ("curl", "-sf", "http://localhost:9847/readyz")
                eventually(lambda: place.run(*answers).returncode == 0, "the daemon answers")
                self.paste(place, finding)
                self.assert_yes(self.ask(place, "cgroup_delegation"))
            finally:
                # nsenter may have started it as a child.
                os.kill(with_descendants(daemon.pid)[-1], signal.SIGTERM)


@needs_root
class PrivateCgroupNamespace(Cgroups):
    name = "cgroup_host_placement"
    PRIVATE = "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"

    def test_the_container_is_started_in_that_of_the_host(self):
        prefix = (*self.tree.inside, *in_cgroup(f"/sys/fs/cgroup/{self.tree.name}"))
        read_only = f"{self.PRIVATE}; mount -o remount,ro,bind /sys/fs/cgroup"
        place = self.place(read_only, (*CONTAINER, "--cgroup"), prefix)
        finding = self.refused(place, self.name, "private_cgroup_namespace")
        self.text_of(finding, "--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw")
        self.assert_placed(self.place("", CONTAINER, prefix), self.name)

    def test_nothing_needs_to_be_done_where_the_own_root_takes_containers(self):
        prefix = (*self.tree.inside, *in_cgroup(f"/sys/fs/cgroup/{self.tree.name}"))
        if not self.works:
            self.skipTest("cgroup v1 has the controllers here")
        self.tree.enable_all()
        place = self.place(self.PRIVATE, (*CONTAINER, "--cgroup"), prefix)
        finding = self.refused(place, self.name, "private_cgroup_namespace")
        self.assertIsNone(finding["remedy"])
        self.assert_yes(self.ask(place, "cgroup_scope_placement"))


@needs_root
class NoCgroups(Case):
    def test_a_tree_that_is_not_mounted_is(self):
        while_any = "while umount -l /sys/fs/cgroup 2>/dev/null; do :; done"
        place = self.place(while_any)
        self.assert_mended(place, "cgroup_version", "cgroup_not_mounted", verified=False)


@needs_root
class HybridHierarchy(Case):
    """A hierarchy cannot be changed under what runs in it: it takes a reboot, and the text says so."""

    # The other names of the machine's own hierarchies: systemd has v2 there.
    HYBRID = """umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/systemd
mount -t cgroup2 none /sys/fs/cgroup/unified
mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd"""
    ARGUMENT = "systemd.unified_cgroup_hierarchy"

    def hybrid(self, prepare="", options=()):
        try:
            return self.place(f"{self.HYBRID}\n{prepare}", options)
        except AssertionError:
            self.skipTest("no v1 hierarchy can be mounted here")

    def test_without_systemd_nothing_can_be_pasted_and_the_text_asks_for_a_reboot(self):
        covered = "mount -t tmpfs -o mode=755 tmpfs /run"
        self.__class__.binary, binary = "/mnt/surveyd", self.binary
        self.addCleanup(setattr, self.__class__, "binary", binary)
        place = self.hybrid(f"mount --bind {self.directory} /mnt\n{covered}")
        for name in ("cgroup_version", "cgroup_host_placement", "can_write_cgroup_root"):
            with self.subTest(name):
                finding = self.refused(place, name, "hybrid_hierarchy")
                self.text_of(finding, "cgroup_no_v1=all", "reboot")

    def test_in_a_container_it_is_for_the_host(self):
        finding = self.refused(self.hybrid("", CONTAINER), "cgroup_version", "hybrid_hierarchy")
        self.text_of(finding, "Boot the host", f"{self.ARGUMENT}=1")

    def test_the_argument_decides_at_the_next_boot_whatever_was_there_before(self):
        for before in (
            'GRUB_CMDLINE_LINUX=""',
            f'GRUB_CMDLINE_LINUX="quiet {self.ARGUMENT}=0"',
            f'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="{self.ARGUMENT}=false quiet"',
            f"GRUB_CMDLINE_LINUX='{self.ARGUMENT}=0'",
            "GRUB_DEFAULT=0",
        ):
            with self.subTest(before):
                place = self.place_with_grub(before)
                finding = self.refused(place, "cgroup_version", "hybrid_hierarchy")
                self.assertIn("reboot", finding["remedy"]["text"])
                for _ in range(2):  # pasted twice, it says the same
                    self.paste(place, finding)
                line = place.run("cat", "/mnt/cmdline").stdout
                # systemd takes the last one.
                self.assertEqual(re.findall(rf"{self.ARGUMENT}=(\S*)", line)[-1:], ["1"], line)

    def place_with_grub(self, before):
        prepare = f"""{OWN_FILES}
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system
mkdir -p /etc/default
printf %s {shlex.quote(UPDATE_GRUB)} >/usr/sbin/update-grub && chmod 755 /usr/sbin/update-grub
echo {shlex.quote(before)} >/etc/default/grub"""
        return self.hybrid(prepare)


if __name__ == "__main__":
    unittest.main()
