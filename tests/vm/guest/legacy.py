"""Under systemd with cgroup v1, alone or hybrid: refused, and nothing is touched."""

import os
import unittest

from machine import TREE, ServiceCase, request
from wire import Metrics


def everything_below(directory):
    return sorted(
        os.path.join(path, name)
        for path, directories, files in os.walk(directory)
        for name in directories + files
    )


class Refused:
    def setUp(self):
        super().setUp()
        self.before = everything_below(TREE)

    def assert_refused(self, answer):
        self.assertEqual(answer.status, 501, answer.body)
        self.assertEqual(answer.json()["type"], "urn:surveyd:problem:no-usable-cgroup2")

    def assert_version(self, version):
        metrics = Metrics(request("GET", "/metrics").body.decode())
        (labels,) = metrics.label_sets("surveyd_environment_info")
        self.assertEqual(labels["cgroup_version"], version)

    def test_every_placement_is_refused_and_nothing_is_made(self):
        for placement in ("auto", "host", "scope"):
            with self.subTest(placement):
                self.assert_refused(request("POST", "/cgroups/ensure", {"placement": placement}))
                self.assertEqual(everything_below(TREE), self.before)

    def test_listing_and_removing_are_refused(self):
        self.assert_refused(request("GET", "/cgroups"))
        self.assert_refused(request("DELETE", "/cgroups/containers/web"))
        self.assertEqual(everything_below(TREE), self.before)


class V1(Refused, ServiceCase):
    def test_the_version_is_said(self):
        self.assert_version("v1")


class Hybrid(Refused, ServiceCase):
    def test_the_version_is_said(self):
        self.assert_version("hybrid")
