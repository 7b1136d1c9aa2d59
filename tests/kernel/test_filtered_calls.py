"""A seccomp filter that answers for the kernel, as engines with an older profile have it."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))

from call_filter import ARCHITECTURES  # noqa: E402
from daemon import clean_environment  # noqa: E402

BINARY = os.environ["SURVEYD_BIN"]
LAUNCHER = [sys.executable, str(TESTS / "support" / "call_filter.py")]
IDS = (TESTS.parent / "src" / "probes" / "catalogue.def").read_text(encoding="utf-8")


def ids():
    """Of every probe that does not depend on a storage path."""
    lines = IDS.splitlines()
    return [
        line.split("(")[1].split(",")[0]
        for line in lines
        if line.startswith(("PROBE(", "VERIFIED("))
    ]


def explain(name, before=()):
    ended = subprocess.run(
        [*before, BINARY, "explain", name, "--json"],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    try:
        return json.loads(ended.stdout)
    except json.JSONDecodeError as error:
        raise AssertionError(f"explain {name}: {ended.stderr}") from error


def answer(finding):
    return {name: finding[name] for name in ("status", "reason_code", "reason", "remedy")}


def errnos(finding):
    return [one["errno"] for one in finding["evidence"] if "errno" in one]


class FilteredCalls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.uname().machine not in ARCHITECTURES:
            raise unittest.SkipTest("no filter for this architecture")

    def under(self, number, calls):
        return [*LAUNCHER, number, ",".join(calls)]

    def test_nothing_refuses_them_without_a_filter(self):
        for name in ("clone3", "openat2", "pidfd"):
            finding = explain(name)
            self.assertEqual(finding["status"], "yes", finding)

    def test_refused_calls_are_found_filtered(self):
        for number in ("ENOSYS", "EPERM"):
            for name in ("clone3", "openat2"):
                with self.subTest(call=name, errno=number):
                    finding = explain(name, self.under(number, ("clone3", "openat2")))
                    self.assertEqual(finding["status"], "no")
                    self.assertEqual(finding["reason_code"], "call_filtered")
                    self.assertIn(number, finding["reason"])
                    self.assertEqual(errnos(finding), [number])
                    self.assertIn("seccomp", json.dumps(finding["evidence"]).lower())
                    self.assertIsNotNone(finding["remedy"])

    def test_either_call_of_pidfd_is_enough_to_lose_it(self):
        for call in ("pidfd_open", "pidfd_send_signal"):
            for number in ("ENOSYS", "EPERM"):
                with self.subTest(call=call, errno=number):
                    finding = explain("pidfd", self.under(number, (call,)))
                    self.assertEqual(finding["status"], "no")
                    self.assertEqual(finding["reason_code"], "call_filtered")
                    self.assertIn(call, finding["reason"])
                    self.assertIn(number, errnos(finding))

    def test_everything_else_is_found_as_without_a_filter(self):
        # The launcher sets no_new_privs, which takes set-user-ID programs their privileges; a filter
        # that only knows a call that nobody makes has the same, and refuses nothing.
        harmless = self.under("ENOSYS", ("pidfd_send_signal",))
        for name in ids():
            if name in ("clone3", "openat2", "pidfd"):
                continue
            expected = answer(explain(name, harmless))
            for number in ("ENOSYS", "EPERM"):
                with self.subTest(finding=name, errno=number):
                    filtered = explain(name, self.under(number, ("clone3", "openat2")))
                    self.assertEqual(answer(filtered), expected)


if __name__ == "__main__":
    unittest.main()
