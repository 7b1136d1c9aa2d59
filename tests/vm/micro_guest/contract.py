"""The contract suite where every controller is left to cgroup v2: no case has a reason to skip."""

import os
import subprocess
import unittest

CASES = "--gtest_filter=*/kernel"


class Contract(unittest.TestCase):
    def run_suite(self, *arguments):
        return subprocess.run(
            [os.environ["SURVEYD_CONTRACT_TESTS"], CASES, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def assert_every_case_passes(self, *arguments):
        listed = self.run_suite("--gtest_list_tests").stdout.splitlines()
        cases = [line for line in listed if line.startswith("  ")]
        ended = self.run_suite("--gtest_brief=1", *arguments)
        print(ended.stdout, end="", flush=True)
        self.assertEqual(ended.returncode, 0, ended.stdout)
        self.assertIn(f"kernel {len(cases)} cases\n", ended.stdout)

    def test_every_case_passes(self):
        self.assert_every_case_passes()

    def test_every_case_passes_without_openat2(self):
        self.assert_every_case_passes("--without-openat2")
