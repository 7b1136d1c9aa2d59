"""A short run of the suite: that it works and draws, and the figures that no noise moves."""

import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import plots  # noqa: E402
from daemon import binary  # noqa: E402
from figures import Experiment  # noqa: E402
from recording import argument_of, lines_of  # noqa: E402

DEADLINE = 300


class Suite(unittest.TestCase):
    def test_a_quick_run_measures_everything(self):
        suite = Path(__file__).with_name("suite.py")
        build = Path(binary()).parent
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, suite, "--quick", "--build", build, "--directory", directory]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=DEADLINE, check=False
            )
            if done.returncode == 77:
                self.skipTest(done.stdout.strip().removeprefix("skipped: "))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            document = json.loads(Path(directory, "bench.json").read_text(encoding="utf-8"))
            experiments = {one["experiment"]: one for one in document["experiments"]}
            for name in ("requests", "pipelined", "scrapes", "start", "costs", "instructions", "surveys",
                         "connections", "forced"):
                self.assertIn(name, experiments)
                drawn = xml.parse(Path(directory, name + ".svg")).getroot()
                self.assertTrue(drawn.tag.endswith("svg"))
            # From the JSON alone the same is drawn.
            before = {path.name: path.read_bytes() for path in Path(directory).glob("*.svg")}
            plots.draw(document, directory)
            after = {path.name: path.read_bytes() for path in Path(directory).glob("*.svg")}
            self.assertEqual(before, after)

            bars = {one["what"]: one for one in experiments["costs"]["ratios"]}
            # With one connection it depends on whether the next request is there already when it is
            # looked for: how fast the client is.
            calls = bars["system calls below strace a request, 32 connections"]
            self.assertTrue(calls["holds"], calls)
            # Of 2,000 requests; now and then something else allocates.
            self.assertLess(bars["allocations a request"]["median"], 0.01)


class Figures(unittest.TestCase):
    def test_a_bar_is_about_the_median_of_the_rounds(self):
        one = Experiment("x", "X")
        for ours, theirs in ((1, 1), (3, 2), (9, 1)):
            one.add("ours", us=ours)
            one.add("theirs", us=theirs)
        one.ratio("times", ("ours", "us"), ("theirs", "us"), at_most=1.5)
        one.ratio("times", ("ours", "us"), ("theirs", "us"), at_most=1.4)
        one.ratio("times", ("ours", "us"), ("theirs", "us"), at_least=1.6)
        self.assertEqual([ratio["holds"] for ratio in one.ratios], [True, False, False])
        self.assertEqual([one.ratios[0][key] for key in ("least", "median", "most")], [1, 1.5, 9])


class Recording(unittest.TestCase):
    def test_arguments_are_made_again_as_what_they_are(self):
        self.assertEqual(argument_of("openat", 1, '"/proc/self"'), "s/proc/self")
        self.assertEqual(argument_of("read", 1, '"text"...'), "b")
        self.assertEqual(argument_of("capget", 0, "{version=0x20080522, pid=0}"), "c")
        self.assertEqual(argument_of("capget", 1, "NULL"), "n0")
        self.assertEqual(argument_of("openat", 0, "0xffffff9c"), "n0xffffff9c")
        self.assertEqual(argument_of("openat", 2, "0"), "n0")
        lines = lines_of([("read", ["0x3", '"x"', "4096"]), ("geteuid", [])])
        self.assertEqual(lines, "read\tn0x3\tb\tn4096\ngeteuid\n")


if __name__ == "__main__":
    unittest.main()
