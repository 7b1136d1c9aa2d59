"""Tests that run in a virtual machine, and are repeated outside of it under their own names."""

import json
import signal
import subprocess
import sys
import time
import traceback
import unittest
from pathlib import Path

# Far more than any test takes on a busy machine; one that hangs leaves the others their time.
SECONDS_PER_TEST = 60
SKIPPED = 77


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


def rows_in(output):
    """(test -> its row, all other lines) of what a guest has printed."""
    rows, others = {}, []
    for line in output.splitlines():
        if line.startswith('{"test": '):
            row = json.loads(line)
            rows[row["test"]] = row
        else:
            others.append(line)
    return rows, others


class InGuest(unittest.TestCase):
    """One test of the guest `boot`. `boot_once(boot)` gives (test -> its row, what else the guest
    said)."""

    def __init__(self, boot, test, boot_once):
        super().__init__("repeat")
        self._boot = boot
        self._test = test
        self._boot_once = boot_once

    def __str__(self):
        return f"{self._boot}: {self._test}"

    def id(self):
        return f"{self._boot}.{self._test}"

    def repeat(self):
        rows, said = self._boot_once(self._boot)
        row = rows.get(self._test)
        if row is None:
            # Its class could not be set up, or the guest did not get that far.
            others = [other["detail"] for test, other in rows.items() if "setUp" in test]
            self.fail("\n".join(["never ended in the guest", *others, *said[-20:]]))
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
    return unittest.TestSuite(
        InGuest(boot, test.id(), boot_once)
        for boot, names in boots.items()
        for test in tests_of(unittest.defaultTestLoader.loadTestsFromNames(names))
    )


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


def out_of_time(*_):
    raise TimeoutError(f"not within {SECONDS_PER_TEST} s")


if __name__ == "__main__":  # in the guest
    signal.signal(signal.SIGALRM, out_of_time)
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1].split(","))
    sys.exit(not suite.run(Recorder()).wasSuccessful())
