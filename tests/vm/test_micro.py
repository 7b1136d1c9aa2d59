"""The real binaries on a real kernel with all controllers left to cgroup v2, and on kernels without
a usable cgroup v2: the tests run in emulated machines and are repeated here, each under its own
name."""

import functools
import os
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
FIXTURES = TESTS / "fixtures"
# The modules of the tests, in the guest as here.
DIRECTORIES = (TESTS / "support", TESTS / "kernel", TESTS / "load", HERE / "micro_guest")
sys.path[:0] = map(str, DIRECTORIES)

from daemon import binary  # noqa: E402
from guest_root import GuestRoot  # noqa: E402
from in_guest import Guest, main, suite_of  # noqa: E402
from strangers import TRIES  # noqa: E402

# Of the tests on this machine's own tree those that more controllers may turn out differently.
FROM_TIER_0 = (
    "test_removal.Force",
    "test_tier0.DelegatedScope.test_it_may_divide_its_scope",
    "test_tier0.PrivateCgroupNamespace.test_scope_placement_divides_the_root_of_the_namespace",
    "test_tier0.ScopePlacement.test_it_works_once_the_other_process_is_gone",
)
# What is mounted at /sys/fs/cgroup, and the tests of each boot.
BOOTS = {
    "contract": ("v2", ("contract", "drift", "test_drift")),
    "containers": ("v2", ("controllers", "entered.V2", *FROM_TIER_0)),
    "strangers": ("v2", ("strangers.V2",)),
    "v1": ("v1", ("without_v2.V1", "entered.V1")),
    "hybrid": ("hybrid", ("without_v2.Hybrid", "entered.Hybrid")),
    "none": ("none", ("without_v2.NotMounted",)),
}
NAMES = {boot: names for boot, (_, names) in BOOTS.items()}
PROGRAMS = ("nsenter", "setpriv", "unshare")
# Not on PATH but for tests that want them there.
FUSE_PROGRAMS = ("fuse-overlayfs", "fusermount3")
# The variables that name what is tested, and where that is in the guest.
TESTED = {"SURVEYD_BIN": "/bin/surveyd", "SURVEYD_CONTRACT_TESTS": "/bin/contract_tests"}
WRITE_THEN_EXIT = "/bin/write_then_exit"


def make_root(directory):
    exported = {"WRITE_THEN_EXIT": WRITE_THEN_EXIT, "SURVEYD_STRANGERS_TRIES": str(TRIES)}
    root = GuestRoot(directory, TESTED | exported)
    for program in PROGRAMS:
        root.add_program(program)
    for program in FUSE_PROGRAMS:
        root.add_program(program, f"/opt/fuse/bin/{program}")
    root.add(FIXTURES, "/tests/fixtures")
    root.add_binary(binary(), TESTED["SURVEYD_BIN"])
    root.add_binary(os.environ["SURVEYD_CONTRACT_TESTS"], TESTED["SURVEYD_CONTRACT_TESTS"])
    with tempfile.TemporaryDirectory() as made:
        program = Path(made, "write_then_exit")
        source = TESTS / "load" / "write_then_exit.c"
        subprocess.run(["cc", "-O1", "-o", program, source], check=True)
        root.add_binary(program, WRITE_THEN_EXIT)
    modules = {name.split(".")[0] for names in NAMES.values() for name in names}
    root.add_tests(DIRECTORIES, sorted(modules))


def run_guest(root, boot):
    mounted, names = BOOTS[boot]
    begun = time.monotonic()
    ended = subprocess.run(
        [HERE / "micro", root, f"vmcg={mounted}", f"tests={','.join(names)}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    guest = Guest.of(ended.returncode, ended.stdout)
    seconds = time.monotonic() - begun
    print(f"\n--- guest {boot}, {seconds:.0f} s\n{guest.said}\n---", file=sys.stderr)
    return guest


@functools.cache
def guests():
    """Each of them once, two at a time: a guest keeps one processor busy."""
    directory = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(directory.cleanup)
    pool = ThreadPoolExecutor(2)
    made = pool.submit(make_root, directory.name)

    def run(boot):
        made.result()
        return run_guest(directory.name, boot)

    return {boot: pool.submit(run, boot) for boot in BOOTS}


def boot_once(boot):
    return guests()[boot].result()


def load_tests(*_):
    return suite_of(NAMES, boot_once)


if __name__ == "__main__":
    main()
