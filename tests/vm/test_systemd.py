"""The binary under a real systemd, in an emulated machine: the tests of tests/vm/guest run there,
and what became of each is repeated here under its own name. SURVEYD_VM_KEEP names a directory for
what the guests printed and left."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
SUPPORT = HERE.parent / "support"
GUEST = HERE / "guest"
sys.path[:0] = [str(SUPPORT), str(GUEST)]

from daemon import binary  # noqa: E402

V1 = "systemd.unified_cgroup_hierarchy=0"
# systemd's arguments for the kernel, and the tests to run below them: one boot each.
BOOTS = {
    "v2": ((), ("units", "containers")),
    "v1": ((V1, "systemd.legacy_systemd_cgroup_controller=1"), ("legacy.V1",)),
    "hybrid": ((V1,), ("legacy.Hybrid",)),
}
SKIPPED, NEVER_FINISHED = 77, 125


def documented_unit():
    """The unit file that the README recommends."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    return re.search(r"^## systemd\n+```ini\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]


def libraries_of(path):
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return [Path(word) for word in listed.split() if word.startswith("/")]


def make_job(job, names):
    """What tests/vm/systemd copies into the guest."""
    shutil.copy(binary(), job / "surveyd")
    for library in libraries_of(binary()):
        place = job / "lib" / library.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    for directory in (SUPPORT, GUEST):
        ignored = shutil.ignore_patterns("__pycache__", "*.[ch]pp")
        shutil.copytree(directory, job / directory.name, ignore=ignored)
    (job / "surveyd.service").write_text(documented_unit(), encoding="utf-8")
    script = f"#!/bin/sh\nexec python3 -B guest/run.py {' '.join(names)}\n"
    (job / "job").write_text(script, encoding="ascii")
    (job / "job").chmod(0o755)


@dataclass(frozen=True)
class Guest:
    """What became of a boot."""

    status: int
    said: str
    outcomes: dict  # test -> its row

    @property
    def skipped(self):
        if self.status == SKIPPED:
            return re.search(r"^skipped: (.*)", self.said, re.MULTILINE)[1]


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
        if ended.returncode == SKIPPED:
            return Guest(SKIPPED, ended.stdout, {})
        log = out / "log"
        said = (log.read_text(errors="replace") if log.exists() else "") + ended.stdout
        print(f"\n--- guest {name}\n{said}---", file=sys.stderr)
        if keep := os.environ.get("SURVEYD_VM_KEEP"):
            shutil.copytree(out, Path(keep) / name, dirs_exist_ok=True)
        results = out / "results"
        rows = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        outcomes = {row["test"]: row for row in map(json.loads, rows)}
        return Guest(ended.returncode, said, outcomes)


class Repeated(unittest.TestCase):
    def __init__(self, boot, name):
        super().__init__("repeat")
        self._boot = boot
        self._name = name

    def __str__(self):
        return f"{self._boot}: {self._name}"

    def id(self):
        return f"{self._boot}.{self._name}"

    def setUp(self):
        self.guest = booted(self._boot)
        if self.guest.skipped:
            self.skipTest(self.guest.skipped)


class Finished(Repeated):
    """That the guest came to its end, and that nothing failed there besides its tests."""

    def __init__(self, boot, tests):
        super().__init__(boot, "the guest finished")
        self._tests = tests

    def repeat(self):
        last = "\n".join(self.guest.said.splitlines()[-20:])
        self.assertNotEqual(self.guest.status, NEVER_FINISHED, last)
        self.assertLessEqual(self._tests, self.guest.outcomes.keys())
        besides = self.guest.outcomes.keys() - self._tests
        self.assertFalse([self.guest.outcomes[name]["detail"] for name in besides])


class InGuest(Repeated):
    """One test of the guest."""

    def repeat(self):
        row = self.guest.outcomes.get(self._name)
        self.assertIsNotNone(row, "never ran in the guest")
        if row["outcome"] == "skipped":
            self.skipTest(row["detail"])
        self.assertEqual(row["outcome"], "ok", row["detail"])


def tests_of(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from tests_of(one)
        else:
            yield one


def load_tests(loader, _tests, _pattern):
    suite = unittest.TestSuite()
    for boot, (_, names) in BOOTS.items():
        tests = [test.id() for test in tests_of(loader.loadTestsFromNames(names))]
        suite.addTests([Finished(boot, set(tests)), *(InGuest(boot, test) for test in tests)])
    return suite


if __name__ == "__main__":
    result = unittest.main(verbosity=2, exit=False).result
    if result.testsRun == len(result.skipped):
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
