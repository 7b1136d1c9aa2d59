"""GET /findings, one of them, and GET /changes: every answer with its evidence."""

import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import DaemonCase  # noqa: E402

PROJECT = Path(__file__).resolve().parents[2]
MEMBERS = {
    "id",
    "status",
    "basis",
    "value",
    "reason",
    "reason_code",
    "evidence",
    "remedy",
    "checked_at",
    "changed_at",
    "duration_us",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CODES = re.findall(
    r"^REASON\((\w+),",
    (PROJECT / "include/surveyd/reason_codes.def").read_text(encoding="utf-8"),
    re.MULTILINE,
)


class Findings(DaemonCase):
    def findings(self):
        return self.daemon.request("GET", "/findings").json()["findings"]

    def test_each_has_what_its_reader_needs(self):
        for finding in self.findings():
            with self.subTest(finding["id"]):
                self.assertEqual(set(finding), MEMBERS)
                self.assertIn(finding["status"], {"yes", "no", "unknown"})
                self.assertEqual(finding["basis"], "claimed")
                self.assertIn(finding["reason_code"], CODES)
                self.assertNotIn(finding["reason_code"], {"not_probed", "probe_failed"})
                self.assertTrue(finding["reason"])
                self.assertTrue(finding["evidence"])
                for time in ("checked_at", "changed_at"):
                    self.assertRegex(finding[time], TIME)
                self.assertGreaterEqual(finding["duration_us"], 0)

    def test_evidence_is_a_value_or_an_errno(self):
        for finding in self.findings():
            for one in finding["evidence"]:
                with self.subTest(finding["id"], source=one["source"]):
                    self.assertIn(set(one), ({"source", "value"}, {"source", "errno"}))
                    self.assertRegex(one.get("errno", "ENOENT"), r"^E[A-Z0-9]+$")

    def test_what_is_yes_needs_no_remedy(self):
        for finding in self.findings():
            with self.subTest(finding["id"]):
                if finding["status"] == "yes":
                    self.assertIsNone(finding["remedy"])
                elif finding["remedy"] is not None:
                    self.assertEqual(set(finding["remedy"]), {"text", "command"})

    def test_one_is_the_same_alone(self):
        for finding in self.findings():
            answer = self.daemon.request("GET", f"/findings/{finding['id']}")
            self.assertEqual(answer.json(), finding)

    def test_they_are_those_of_the_metrics(self):
        labels = self.daemon.metrics().label_sets("surveyd_capability_unknown")
        ids = [finding["id"] for finding in self.findings()]
        self.assertEqual([one["capability"] for one in labels], ids)

    def test_another_name_is_404(self):
        for name in ("nothing", "", "is_root/", "is_root%00", "..%2fis_root", "IS_ROOT"):
            with self.subTest(name):
                answer = self.daemon.request("GET", f"/findings/{name}")
                self.assert_problem(answer, 404, "no-such-finding")

    def test_nothing_has_changed_yet(self):
        document = self.daemon.request("GET", "/changes").json()
        self.assertEqual(document["changes"], [])
        self.assertEqual(document["survey"]["generation"], 1)


if __name__ == "__main__":
    unittest.main()
