"""Recorded environments under systemd: units of the system and of a user, and containers of podman,
systemd-nspawn and bubblewrap, with root file systems that have little in them."""

import json
import shlex
import shutil
from pathlib import Path

from daemon import clean_environment
from environments import NOT_DUMPABLE, WITHOUT_PROC, EnvironmentsCase
from in_guest import copy_libraries
from machine import BINARY, run

# Made by tests/vm/image/container-root: of root, and of the user.
CONTAINER_ROOT = Path("/opt/croot")
ROOTS = (CONTAINER_ROOT, Path("/home/tester/croot"))
CAPABLE_BINARY = Path("/opt/capable/surveyd")
CAPABLE = "vm-setcap-netadmin-user"
# Of its root file system there is only /opt.
BARE = "vm-bwrap-nosys"
# Its user can write nowhere else.
TMPFS_ALONE = ("vm-bwrap-user-unshare-all", "hyb-bwrap-root-unshare-all")
# In user namespaces, with a tmpfs at /tmp.
ON_DISK = ("vm-nspawn-unified-privusers", "vm-podman-systemd-always")
UNIFIED = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
SETTINGS = {"vm-nspawn-unified": UNIFIED, "vm-nspawn-unified-privusers": UNIFIED}
PLACES = {
    BARE: CONTAINER_ROOT / BINARY.relative_to("/"),
    CAPABLE: CAPABLE_BINARY,
}


def setUpModule():
    for root in ROOTS:
        shutil.copy(BINARY, root / BINARY.relative_to("/"))
        copy_libraries(BINARY, root)
    CAPABLE_BINARY.parent.mkdir()
    shutil.copy(BINARY, CAPABLE_BINARY)
    run("setcap", "cap_net_admin+ep", CAPABLE_BINARY)


class UnderSystemd(EnvironmentsCase):
    renamed = {"vmjob.service": "vm-job.service"}
    explained = {
        ("vm-chroot-bare", "has_cap_net_admin"): (True, WITHOUT_PROC),
        (CAPABLE, "overlayfs_rootfs_available"): ("yes (verified)", NOT_DUMPABLE),
        (CAPABLE, "fuse_overlayfs_rootfs_available"): ("yes (verified)", NOT_DUMPABLE),
        **{
            (name, "overlayfs_rootfs_available"): (
                "no (verified)",
                "the mount alone was recorded: what an overlay notes in a user namespace, the"
                " tmpfs of Linux 6.1 cannot hold",
            )
            for name in TMPFS_ALONE
        },
    }

    def prefix(self, row):
        libraries = []
        if row["name"] == BARE:
            for name in ("lib", "lib64"):
                libraries += ["--ro-bind", str(CONTAINER_ROOT / name), f"/{name}"]
        return super().prefix(row) + libraries

    def binary(self, row):
        return str(PLACES.get(row["name"], BINARY))

    def storage(self, row):
        return "/var/lib" if row["name"] in ON_DISK else super().storage(row)

    def documents(self, row):
        # Entered once for both: for a container an emulated machine needs seconds.
        shell = (CONTAINER_ROOT / "bin/busybox", "sh") if row["name"] == BARE else ("sh",)
        script = " && exec ".join(map(shlex.join, self.commands(row)))
        printed = self.printed(row, *shell, "-c", script)
        survey, end = json.JSONDecoder().raw_decode(printed)
        return survey, json.loads(printed[end:])

    def options(self, row):
        return {"env": clean_environment(SETTINGS.get(row["name"])), "cwd": "/"}


class V2(UnderSystemd, groups=("vm systemd v2", "vm systemd v2 extra")):
    pass


class V1(UnderSystemd, groups=("vm systemd v1",)):
    pass


class Hybrid(UnderSystemd, groups=("vm systemd hybrid",)):
    pass
