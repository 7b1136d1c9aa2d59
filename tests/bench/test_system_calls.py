"""What one survey costs in system calls: bounds that no noise moves."""

import os
import re
import shutil
import subprocess
import unittest

# Of the reference fields with the evidence and the remedies of their findings, and of all claims
# about the survey's own fields (P0).
MOST = {"reference": 30, "p0": 64}


def system_calls(what, surveys):
    """The calls of a whole run that makes this many surveys."""
    # Programs are looked for along PATH: a usual one.
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    strace = shutil.which("strace")
    counted = subprocess.run(
        [strace, "-f", "-c", os.environ["SURVEYD_SURVEY_ONCE"], what, str(surveys)],
        env={"PATH": path},
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    return int(re.search(r"(\d+)(?:\s+\d+)?\s+total", counted)[1])


class SystemCalls(unittest.TestCase):
    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_a_survey_makes_few(self):
        for what, most in MOST.items():
            with self.subTest(what):
                one, many = system_calls(what, 1), system_calls(what, 101)
                self.assertLessEqual((many - one) / 100, most)
                self.assertGreater(many, one, "nothing was surveyed")


if __name__ == "__main__":
    unittest.main()
