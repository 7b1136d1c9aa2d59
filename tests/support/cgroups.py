"""The machine's real cgroup v2 tree, left as it was found."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from daemon import eventually, is_root

MOUNT_POINT = "/sys/fs/cgroup"
# A lazy unmount first: cgroup2 over cgroup2 is EBUSY.
MOUNT = f"umount -l {MOUNT_POINT} 2>/dev/null; mount -t cgroup2 none {MOUNT_POINT}"
# Prefixes: commands that end in running the rest of the command line.
PRIVATE_NAMESPACE = ("unshare", "--cgroup", "--mount", "sh", "-c", MOUNT + ' && exec "$@"', "sh")
# An empty directory in place of the cgroup file system: an allowed change ends in 501 and touches
# no real tree.
WITHOUT_CGROUPS = (
    ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {MOUNT_POINT} && exec "$@"', "sh")
    if is_root
    else ()
)
READ_ONLY = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    f'mount -o remount,ro,bind {MOUNT_POINT} && exec "$@"',
    "sh",
)


def in_cgroup(path):
    """A prefix that moves into a cgroup, given by its directory."""
    return ("sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(path))


def words(path):
    return Path(path).read_text(encoding="ascii").split()


def control(path, sign, controllers):
    """Enables ("+") or disables ("-") controllers for the children of a cgroup, all at once."""
    if controllers:
        text = " ".join(sign + controller for controller in sorted(controllers))
        (path / "cgroup.subtree_control").write_text(text, encoding="ascii")


def enter(path):
    """Moves the calling process."""
    (path / "cgroup.procs").write_text("0", encoding="ascii")


def remove(path):
    """Removes a cgroup with all that is below it and ends what lives there."""
    if not path.exists():
        return
    for child in [entry for entry in path.iterdir() if entry.is_dir()]:
        remove(child)
    for pid in map(int, words(path / "cgroup.procs")):
        # 0 is a process of another pid namespace; to kill() it would mean ourselves.
        if pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def removed():
        with contextlib.suppress(OSError):
            path.rmdir()
        return not path.exists()

    eventually(removed, f"{path} can be removed")


class Tree:
    """The tree at /sys/fs/cgroup of a private mount namespace, as on a host with v2 only, whatever
    this one mounts. What is made below `name`, and what is enabled at the root, ends with it."""

    _count = 0

    def __enter__(self):
        for tool in ("unshare", "nsenter"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"{tool} is not installed")
        with contextlib.ExitStack() as stack:
            self._holder = stack.enter_context(
                subprocess.Popen(
                    ["unshare", "--mount", "sh", "-c", f"{MOUNT} && echo ready && exec cat"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    # Ctrl-C ends a whole process group: what is to be undone is undone through it.
                    start_new_session=True,
                )
            )
            if self._holder.stdout.readline() != "ready\n":
                raise unittest.SkipTest("cgroup v2 cannot be mounted here")
            self.root = Path(f"/proc/{self._holder.pid}/root{MOUNT_POINT}")
            Tree._count += 1
            self.name = f"surveyd-test-{os.getpid()}-{Tree._count}"
            self._lock(stack)
            self._enabled_before = self.enabled(self.root)
            stack.callback(self._restore)
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *_):
        self._close()

    @property
    def own(self):
        """The directory that belongs to this test."""
        return self.root / self.name

    @property
    def offered(self):
        return set(words(self.root / "cgroup.controllers"))

    @property
    def is_real_root(self):
        return not (self.root / "cgroup.type").exists()

    @property
    def inside(self):
        """A prefix that enters the namespace."""
        return ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--")

    def enabled(self, path):
        return set(words(path / "cgroup.subtree_control"))

    def make(self, *names):
        path = self.own.joinpath(*names)
        path.mkdir()
        return path

    def enable_all(self):
        """Offers every controller to the children of the root."""
        control(self.root, "+", self.offered - self.enabled(self.root))

    def disable_again(self):
        """Undoes `enable_all`, and what an ensure enabled at the root."""
        control(self.root, "-", self.enabled(self.root) - self._enabled_before)

    def names(self):
        """Every cgroup of this test, below its directory."""
        return {str(path.relative_to(self.root)) for path in self._walk(self.own)}

    def run(self, *command):
        """Runs a command in the namespace."""
        subprocess.run([*self.inside, *command], check=True, timeout=60)

    def _walk(self, path):
        if path.is_dir():
            yield path
            for entry in path.iterdir():
                yield from self._walk(entry)

    def _lock(self, stack):
        """Two runs at the same time would restore the root under each other's feet."""
        directory = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, directory)

        def locked():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True

        eventually(locked, "no other test uses the tree", 300)

    def _restore(self):
        remove(self.own)
        self.disable_again()
        assert self.enabled(self.root) == self._enabled_before
