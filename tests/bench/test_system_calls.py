"""What one survey of the reference fields costs in system calls: a bound that no noise moves."""

import os
import re
import shutil
import subprocess
import unittest

# Where an answer is not yes, some of them are made to say why and what helps.
MOST = 30


def system_calls(surveys):
    """The calls of a whole run that makes this many surveys."""
    counted = subprocess.run(
        ["strace", "-f", "-c", os.environ["SURVEYD_SURVEY_ONCE"], str(surveys)],
        check=True, capture_output=True, text=True).stderr
    return int(re.search(r"(\d+)(?:\s+\d+)?\s+total", counted)[1])


class SystemCalls(unittest.TestCase):
    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_a_survey_of_the_reference_fields_makes_few(self):
        one, many = system_calls(1), system_calls(101)
        self.assertLessEqual((many - one) / 100, MOST)
        self.assertGreater(many, one, "nothing was surveyed")


if __name__ == "__main__":
    unittest.main()
