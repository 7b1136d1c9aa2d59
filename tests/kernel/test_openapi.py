"""What is answered about a real cgroup tree is as GET /openapi.json describes it."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import needs_root  # noqa: E402
from openapi import Description  # noqa: E402
from tree_case import HostCase  # noqa: E402

CONTAINER = "/cgroups/containers/{id}"


@needs_root
class Answers(HostCase):
    def setUp(self):
        super().setUp()
        self.description = Description(self.daemon)

    def assert_described(self, status, method, path, query=""):
        answer = self.daemon.request(method, path.replace("{id}", "c1") + query)
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(self.description.faults(method, path, answer), [], answer.body)
        return answer.json()

    def test_they_are_as_described(self):
        self.assertFalse(self.assert_described(200, "GET", "/cgroups")["exists"])
        self.assertTrue(self.assert_described(200, "POST", "/cgroups/ensure")["created"])
        self.assertFalse(self.assert_described(200, "DELETE", CONTAINER)["removed"])

        path = self.parent / "c1"
        path.mkdir()
        self.assertTrue(self.assert_described(200, "GET", "/cgroups")["containers"])
        self.live_in(path)
        self.assertTrue(self.assert_described(409, "DELETE", CONTAINER)["processes"])
        self.assertTrue(self.assert_described(200, "GET", "/cgroups")["containers"])
        self.assertTrue(self.assert_described(200, "DELETE", CONTAINER, "?force=true")["removed"])

    def test_child_cgroups_in_the_way_are_as_described(self):
        self.ensured()
        (self.parent / "c1" / "below").mkdir(parents=True)
        self.assertTrue(self.assert_described(409, "DELETE", CONTAINER)["children"])


if __name__ == "__main__":
    unittest.main()
