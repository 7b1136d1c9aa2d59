"""Runs test modules in the guest and leaves a line of JSON for each test in /out/results."""

import json
import signal
import sys
import time
import traceback
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import machine  # noqa: E402

RESULTS = Path("/out/results")
# Far more than any test takes on a busy machine; one that hangs leaves the others their time.
SECONDS_PER_TEST = 90


class Recorder(unittest.TextTestResult):
    """Keeps what became of each test; of subtests the failures."""

    def startTest(self, test):
        super().startTest(test)
        self._problems = []
        self._skipped = None
        self._begun = time.monotonic()
        signal.alarm(SECONDS_PER_TEST)

    def stopTest(self, test):
        signal.alarm(0)
        outcome = "failed" if self._problems else "skipped" if self._skipped else "ok"
        detail = "\n".join(self._problems) or self._skipped or ""
        self._write(test.id(), outcome, detail, time.monotonic() - self._begun)
        super().stopTest(test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._problems.append(self._text(error))

    def addError(self, test, error):
        super().addError(test, error)
        if isinstance(test, unittest.TestCase):
            self._problems.append(self._text(error))
        else:  # a class or module could not be set up, and its tests have no line of their own
            self._write(test.id(), "failed", self._text(error), 0)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self._problems.append(f"{subtest._subDescription()}\n{self._text(error)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._skipped = reason

    @staticmethod
    def _text(error):
        return "".join(traceback.format_exception(*error))

    @staticmethod
    def _write(name, outcome, detail, seconds):
        row = {"test": name, "outcome": outcome, "detail": detail, "seconds": round(seconds, 2)}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def out_of_time(*_):
    raise TimeoutError(f"not within {SECONDS_PER_TEST} s")


def main(names):
    signal.signal(signal.SIGALRM, out_of_time)
    machine.install()
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    runner = unittest.TextTestRunner(resultclass=Recorder, verbosity=2)
    return 0 if runner.run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
