"""The binary under a real systemd, in an emulated machine: the tests of tests/vm/guest run there,
and what became of each is repeated here under its own name. SURVEYD_VM_KEEP names a directory for
what the guests printed and left."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
SUPPORT = HERE.parent / "support"
FIXTURES = HERE.parent / "fixtures"
GUEST = HERE / "guest"
sys.path[:0] = [str(SUPPORT), str(GUEST)]

from daemon import binary  # noqa: E402
from in_guest import Guest, copy_libraries, main, suite_of  # noqa: E402

V1 = "systemd.unified_cgroup_hierarchy=0"
# What the remedy of a hybrid hierarchy names; the last one counts.
V2 = "systemd.unified_cgroup_hierarchy=1"
# systemd's arguments for the kernel, and the tests to run below them: one boot each.
BOOTS = {
    "v2": ((), ("units", "containers", "subject", "hardened")),
    "environments": ((), ("entered.V2",)),
    "v1": ((V1, "systemd.legacy_systemd_cgroup_controller=1"), ("legacy.V1", "entered.V1")),
    "hybrid": ((V1,), ("legacy.Hybrid", "entered.Hybrid", "remedies.Hybrid")),
    "remedies": (
        (V1, V2),
        ("remedies.Service", "remedies.Sysctls", "remedies.Podman", "remedies.Booted"),
    ),
}


def documented_unit():
    """The unit without a sandbox that docs/systemd.md shows."""
    text = (PROJECT / "docs" / "systemd.md").read_text(encoding="utf-8")
    return re.search(r"^```ini\n(\[Unit\].*?)^```$", text, re.DOTALL | re.MULTILINE)[1]


def make_job(job, names):
    """What tests/vm/systemd copies into the guest."""
    shutil.copy(binary(), job / "surveyd")
    copy_libraries(binary(), job / "lib")
    for directory in (SUPPORT, FIXTURES, GUEST):
        ignored = shutil.ignore_patterns("__pycache__", "*.[ch]pp")
        shutil.copytree(directory, job / directory.name, ignore=ignored)
    shutil.copytree(PROJECT / "systemd", job / "systemd")
    shutil.copy(PROJECT / "docs" / "systemd.md", job / "systemd")
    (job / "surveyd.service").write_text(documented_unit(), encoding="utf-8")
    script = f"#!/bin/sh\nexec python3 -B guest/run.py {' '.join(names)}\n"
    (job / "job").write_text(script, encoding="ascii")
    (job / "job").chmod(0o755)


@functools.cache
def booted(name):
    """Boots once."""
    arguments, names = BOOTS[name]
    with tempfile.TemporaryDirectory() as directory:
        job, out = Path(directory) / "job", Path(directory) / "out"
        job.mkdir()
        make_job(job, names)
        ended = subprocess.run(
            [HERE / "systemd", job, out, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log = out / "log"
        printed = (log.read_text(errors="replace") if log.exists() else "") + ended.stdout
        guest = Guest.of(ended.returncode, printed)
        print(f"\n--- guest {name}\n{guest.said}\n---", file=sys.stderr)
        if keep := os.environ.get("SURVEYD_VM_KEEP"):
            shutil.copytree(out, Path(keep) / name, dirs_exist_ok=True)
        return guest


def load_tests(*_):
    return suite_of({boot: names for boot, (_, names) in BOOTS.items()}, booted)


if __name__ == "__main__":
    main()
