"""A short run of the benchmark of the cgroup operations: that it works, not what they cost."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cgroup_bench import Results, Series, Site, print_ratios  # noqa: E402
from cgroups import Tree  # noqa: E402
from daemon import needs_root  # noqa: E402

ROUNDS = 2
BENCHMARK = Path(__file__).with_name("cgroup_bench.py")


class Bounds(unittest.TestCase):
    """What is made of the figures, in microseconds."""

    SITES = [Site("few", 1, None, None, ""), Site("many", 5, None, None, "")]

    def judge(self, delete_few=50, delete_many=50, ensure=100):
        """Whether all bounds hold with mkdir and rmdir at 10 each, and what is printed."""
        series = []
        for site, delete in zip(self.SITES, (delete_few, delete_many)):
            series += [
                Series("mkdir, rmdir", site, (), rounds=[[(10, 10)] * 3]),
                Series("mkdir, DELETE", site, (), rounds=[[(10, delete)] * 3]),
                Series("POST /cgroups/ensure", site, (), rounds=[[(ensure,)] * 3]),
            ]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            holds = print_ratios(Results(series, self.SITES))
        return holds, printed.getvalue().count("DOES NOT HOLD")

    def test_delete_costs_at_most_three_pairs_over_the_pair(self):
        self.assertEqual(self.judge(delete_few=70, delete_many=70), (True, 0))
        self.assertEqual(self.judge(delete_few=71, delete_many=71), (False, 2))

    def test_delete_does_not_grow_with_siblings(self):
        self.assertEqual(self.judge(delete_few=40, delete_many=50), (True, 0))
        self.assertEqual(self.judge(delete_few=40, delete_many=51), (False, 1))

    def test_ensure_takes_at_most_a_millisecond(self):
        few = {"delete_few": 10, "delete_many": 10}
        self.assertEqual(self.judge(ensure=1000, **few), (True, 0))
        self.assertEqual(self.judge(ensure=1001, **few), (False, 2))

    def test_the_median_counts_and_not_one_slow_turn(self):
        series = Series("mkdir, DELETE", self.SITES[0], (), rounds=[[(1, 2), (1, 2), (1, 900)]])
        self.assertEqual(series.medians(), [3])
        self.assertEqual(series.medians(1), [2])


@needs_root
class CgroupBenchmark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        results = os.path.join(directory, "results.json")
        options = {
            "--client": os.environ["SURVEYD_CGROUP_CLIENT"],
            "--rounds": ROUNDS,
            "--iterations": 3,
            "--commands": 1,
            "--json": results,
        }
        words = [str(word) for option in options.items() for word in option]
        with subprocess.Popen(
            [sys.executable, BENCHMARK, *words, "--siblings", "1", "5", "--no-bounds"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as benchmark:
            cls.printed, errors = benchmark.communicate(timeout=300)
        if benchmark.returncode == 77:
            raise unittest.SkipTest(cls.printed.strip())
        if benchmark.returncode != 0:
            raise AssertionError(f"it failed\n{cls.printed}{errors}")
        with Tree() as tree:
            cls.left_behind = list(tree.root.glob(f"surveyd-test-{benchmark.pid}-*"))
        cls.results = json.loads(Path(results).read_text(encoding="utf-8"))

    def test_everything_is_measured_once_a_round(self):
        for one in self.results["microseconds"]:
            with self.subTest(one["what"], siblings=one["siblings"]):
                self.assertEqual(len(one["rounds"]), ROUNDS)
                self.assertGreater(min(one["rounds"]), 0)
                self.assertLessEqual(one["least"], one["median"])
                self.assertLessEqual(one["median"], one["most"])

    def test_both_numbers_of_siblings_are_measured(self):
        for what in ("mkdir + rmdir", "mkdir + DELETE", "POST /cgroups/ensure"):
            rows = self.results["microseconds"]
            self.assertEqual([one["siblings"] for one in rows if one["what"] == what], [1, 5])

    def test_the_bounds_of_delete_its_growth_and_ensure_are_judged(self):
        bounds = [one["bound"] for one in self.results["ratios"] if one["bound"] is not None]
        self.assertEqual(bounds, [3, 3, 1.25, 1000, 1000])

    def test_the_table_has_a_row_for_each_series(self):
        for one in self.results["microseconds"]:
            self.assertIn(one["what"], self.printed)

    def test_nothing_stays_behind(self):
        self.assertEqual(self.left_behind, [])


if __name__ == "__main__":
    unittest.main()
