"""Recorded environments under systemd: units of the system and of a user, and containers of podman,
systemd-nspawn and bubblewrap, with root file systems that have little in them."""

import shutil
from pathlib import Path

from daemon import clean_environment
from environments import EnvironmentsCase
from in_guest import copy_libraries
from machine import BINARY, run

# Made by tests/vm/image/container-root: of root, and of the user.
CONTAINER_ROOT = Path("/opt/croot")
ROOTS = (CONTAINER_ROOT, Path("/home/tester/croot"))
CAPABLE = Path("/opt/capable/surveyd")
# Of its root file system there is only /opt.
BARE = "vm-bwrap-nosys"
UNIFIED = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
SETTINGS = {"vm-nspawn-unified": UNIFIED, "vm-nspawn-unified-privusers": UNIFIED}
PLACES = {
    BARE: CONTAINER_ROOT / BINARY.relative_to("/"),
    "vm-setcap-netadmin-user": CAPABLE,
}


def setUpModule():
    for root in ROOTS:
        shutil.copy(BINARY, root / BINARY.relative_to("/"))
        copy_libraries(BINARY, root)
    CAPABLE.parent.mkdir()
    shutil.copy(BINARY, CAPABLE)
    run("setcap", "cap_net_admin+ep", CAPABLE)


class UnderSystemd(EnvironmentsCase):
    renamed = {"vmjob.service": "vm-job.service"}
    explained = {
        ("vm-chroot-bare", "has_cap_net_admin"): (
            True,
            "without /proc the reference sees no capability at all",
        ),
    }

    def prefix(self, row):
        libraries = []
        if row["name"] == BARE:
            for name in ("lib", "lib64"):
                libraries += ["--ro-bind", str(CONTAINER_ROOT / name), f"/{name}"]
        return super().prefix(row) + libraries

    def binary(self, row):
        return str(PLACES.get(row["name"], BINARY))

    def options(self, row):
        return {"env": clean_environment(SETTINGS.get(row["name"])), "cwd": "/"}


class V2(UnderSystemd, groups=("vm systemd v2", "vm systemd v2 extra")):
    pass


class V1(UnderSystemd, groups=("vm systemd v1",)):
    pass


class Hybrid(UnderSystemd, groups=("vm systemd hybrid",)):
    pass
