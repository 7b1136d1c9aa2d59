"""Tests that run in a virtual machine, and are repeated outside of it under their own names."""

import json
import shutil
import signal
import subprocess
import sys
import time
import traceback
import unittest
from dataclasses import dataclass
from pathlib import Path

# Far more than any test takes on a busy machine; one that hangs leaves the others their time.
SECONDS_PER_TEST = 90
SKIPPED, NEVER_FINISHED = 77, 125
ROW = '{"test": '


class Recorder(unittest.TestResult):
    """Prints a line of JSON for each test that has ended; of subtests what failed."""

    def startTest(self, test):
        super().startTest(test)
        self._problems = []
        self._skipped = ""
        self._begun = time.monotonic()
        signal.alarm(SECONDS_PER_TEST)

    def stopTest(self, test):
        signal.alarm(0)
        outcome = "failed" if self._problems else "skipped" if self._skipped else "ok"
        detail = "\n".join(self._problems) or self._skipped
        self._print(test.id(), outcome, detail, time.monotonic() - self._begun)
        super().stopTest(test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._problems.append(self._text(error))

    def addError(self, test, error):
        super().addError(test, error)
        if isinstance(test, unittest.TestCase):
            self._problems.append(self._text(error))
        else:  # a class or module could not be set up: its tests have no line of their own
            self._print(test.id(), "failed", self._text(error), 0)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self._problems.append(f"{subtest.id()}\n{self._text(error)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._skipped = reason

    @staticmethod
    def _text(error):
        return "".join(traceback.format_exception(*error))

    @staticmethod
    def _print(name, outcome, detail, seconds):
        row = {"test": name, "outcome": outcome, "detail": detail, "seconds": round(seconds, 2)}
        print(json.dumps(row), flush=True)


@dataclass(frozen=True)
class Guest:
    """What became of a boot."""

    finished: bool
    said: str
    outcomes: dict  # test -> its row
    why_not: str = ""  # it was not booted

    @classmethod
    def of(cls, status, printed):
        """By what tests/vm/micro or tests/vm/systemd ended with, and what was printed there."""
        lines = printed.splitlines()
        if status == SKIPPED:
            reasons = [line for line in lines if line.startswith("skipped: ")]
            return cls(False, "", {}, reasons[-1].removeprefix("skipped: "))
        rows = [json.loads(line) for line in lines if line.startswith(ROW)]
        said = "\n".join(line for line in lines if not line.startswith(ROW))
        return cls(status != NEVER_FINISHED, said, {row["test"]: row for row in rows})


class Repeated(unittest.TestCase):
    """Something about the guest that `boot_once(boot)` gives."""

    def __init__(self, boot, name, boot_once):
        super().__init__("repeat")
        self._boot = boot
        self._name = name
        self._boot_once = boot_once

    def __str__(self):
        return f"{self._boot}: {self._name}"

    def id(self):
        return f"{self._boot}.{self._name}"

    def setUp(self):
        self.guest = self._boot_once(self._boot)
        if self.guest.why_not:
            self.skipTest(self.guest.why_not)


class Finished(Repeated):
    """That the guest came to its end, and that nothing failed there besides its tests."""

    def __init__(self, boot, tests, boot_once):
        super().__init__(boot, "the guest finished", boot_once)
        self._tests = tests

    def repeat(self):
        last = "\n".join(self.guest.said.splitlines()[-20:])
        self.assertTrue(self.guest.finished, last)
        besides = self.guest.outcomes.keys() - self._tests
        self.assertFalse([self.guest.outcomes[name]["detail"] for name in besides])
        self.assertLessEqual(self._tests, self.guest.outcomes.keys(), last)


class InGuest(Repeated):
    """One test of the guest."""

    def repeat(self):
        row = self.guest.outcomes.get(self._name)
        self.assertIsNotNone(row, "never ended in the guest")
        if row["outcome"] == "skipped":
            self.skipTest(row["detail"])
        self.assertEqual(row["outcome"], "ok", row["detail"])


def tests_of(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from tests_of(one)
        else:
            yield one


def suite_of(boots, boot_once):
    """`boots`: name -> the tests that run there, by module, class or method."""
    suite = unittest.TestSuite()
    for boot, names in boots.items():
        loaded = unittest.defaultTestLoader.loadTestsFromNames(names)
        tests = [test.id() for test in tests_of(loaded)]
        suite.addTest(Finished(boot, set(tests), boot_once))
        suite.addTests(InGuest(boot, test, boot_once) for test in tests)
    return suite


def main():
    """`unittest.main` that says when all was skipped."""
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())


def libraries_of(path):
    """The shared libraries that the loader would find for a binary, and the loader."""
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return {Path(word) for word in listed.split() if word.startswith("/")}


def copy_libraries(path, root):
    """What a binary needs to be run with another root directory, unless it is there already."""
    for library in libraries_of(path):
        place = Path(root) / library.relative_to("/")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)


def out_of_time(*_):
    raise TimeoutError(f"not within {SECONDS_PER_TEST} s")


def run(names):
    """In the guest: the status to end with."""
    signal.signal(signal.SIGALRM, out_of_time)
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    return 0 if suite.run(Recorder()).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1].split(",")))
