"""Recorded environments of machines without systemd."""

import os
from pathlib import Path

from cgroups import control, in_cgroup, words
from daemon import binary, clean_environment
from environments import EnvironmentsCase

TREE = Path("/sys/fs/cgroup")
SUB = TREE / "a"
SUBTREE_CONTROL = TREE / "cgroup.subtree_control"
# Where fuse-overlayfs and its helper are; only some of the machines of the recording had them.
FUSE_PROGRAMS = "/opt/fuse/bin"
HAD_FUSE_PROGRAMS = "vm no-systemd"


class WithoutSystemd(EnvironmentsCase):
    def binary(self, row):
        return binary()

    def options(self, row):
        path = os.environ["PATH"]
        if row["group"].startswith(HAD_FUSE_PROGRAMS):
            path = f"{path}:{FUSE_PROGRAMS}"
        return {"env": clean_environment({"PATH": path}), "cwd": "/"}


class V2(WithoutSystemd, groups=("vm no-systemd v2", "vm micro")):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        offered, before = words(TREE / "cgroup.controllers"), words(SUBTREE_CONTROL)
        cls.addClassCleanup(control, TREE, "-", set(offered) - set(before))
        control(TREE, "+", offered)
        SUB.mkdir()
        cls.addClassCleanup(SUB.rmdir)

    def prefix(self, row):
        if row["name"] == "micro-root":
            return []
        if row["name"] == "micro-sub":
            return [*in_cgroup(SUB)]
        return super().prefix(row)


class V1(WithoutSystemd, groups=("vm no-systemd v1", "vm micro v1")):
    def prefix(self, row):
        if row["group"] != "vm micro v1":
            return super().prefix(row)
        # What a redirection makes of it, where only a tmpfs is mounted.
        SUBTREE_CONTROL.write_text("+cpu\n", encoding="ascii")
        self.addCleanup(SUBTREE_CONTROL.unlink, missing_ok=True)
        return []


class Hybrid(WithoutSystemd, groups=("vm no-systemd hybrid",)):
    pass
