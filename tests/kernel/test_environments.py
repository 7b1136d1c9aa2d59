"""Recorded environments of a machine with a hybrid hierarchy, entered on one like it."""

import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))

from cgroups import Tree  # noqa: E402
from daemon import is_root, public_binary  # noqa: E402
from environments import (  # noqa: E402
    NOT_DUMPABLE,
    WITHOUT_PROC,
    EnvironmentsCase,
    command_of,
    rows_of,
)
from in_guest import copy_libraries  # noqa: E402

GROUP = "host"
RECORDED_NAME = "probe-test"
DELEGATED_TO = 65534
HYBRID = Path("/sys/fs/cgroup/unified")
# Nothing of this machine is there but the directory of the binary.
BARE = "bwrap-noproc-nosys"
STANDARD = {"setpriv", "unshare", "sh", "prlimit"}
NOT_REPEATABLE = {}
if os.environ.get("SURVEYD_SANITIZED"):
    NOT_REPEATABLE["host-root-euid-nobody"] = "the leak check needs a process that may trace itself"
    NOT_REPEATABLE[BARE] = "the leak check needs /proc"


class Environments(EnvironmentsCase, groups=(GROUP,)):
    explained = {
        (BARE, "has_cap_net_admin"): (True, WITHOUT_PROC),
        ("host-root-euid-nobody", "overlayfs_rootfs_available"): ("yes (verified)", NOT_DUMPABLE),
    }

    @classmethod
    def setUpClass(cls):
        if not is_root:
            raise unittest.SkipTest("needs root")
        if not (HYBRID / "cgroup.procs").exists():
            raise unittest.SkipTest("recorded on a hybrid host, and this is none")
        super().setUpClass()
        cls.tree = cls.enterClassContext(Tree())
        cls.make_cgroups()
        # Not below /tmp: some of the environments cover it.
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/run"))
        cls.path = public_binary(cls.directory)
        copy_libraries(cls.path, cls.directory)
        only_this = f"--ro-bind {cls.directory} {cls.directory}"
        cls.renamed = {RECORDED_NAME: cls.tree.name, "--ro-bind . .": only_this}

    @classmethod
    def make_cgroups(cls):
        for names in ((), ("a",), ("b",), ("b", "init"), ("del",)):
            cls.tree.make(*names)
        delegated = cls.tree.own / "del"
        names = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")
        for path in (delegated, *(delegated / name for name in names)):
            os.chown(path, DELEGATED_TO, DELEGATED_TO)

    def why_not(self, row):
        tool = command_of(row["how"])[0]
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
        return NOT_REPEATABLE.get(row["name"])

    def prefix(self, row):
        libraries = []
        if row["name"] == BARE:
            for name in ("lib", "lib64"):
                libraries += ["--ro-bind", f"{self.directory}/{name}", f"/{name}"]
        return super().prefix(row) + libraries

    def binary(self, row):
        return self.path

    def test_at_least_fifteen_environments_can_be_entered_with_the_standard_tools(self):
        tools = [command_of(row["how"])[0] for row in rows_of(GROUP)]
        self.assertGreaterEqual(sum(tool in STANDARD for tool in tools), 15)


if __name__ == "__main__":
    unittest.main()
