"""Kernels booted without a usable cgroup v2: refused, and nothing is touched."""

import json
import os

from daemon import DaemonCase

TREE = "/sys/fs/cgroup"
CALLS = (
    ("POST", "/cgroups/ensure", None),
    ("POST", "/cgroups/ensure", {"placement": "host"}),
    ("POST", "/cgroups/ensure", {"placement": "scope", "evacuate": "all"}),
    ("GET", "/cgroups", None),
    ("DELETE", "/cgroups/containers/c1", None),
    ("DELETE", "/cgroups/containers/c1?force=true", None),
)


def everything():
    return sorted(
        os.path.join(path, name)
        for path, directories, files in os.walk(TREE)
        for name in directories + files
    )


class Refused:
    arguments = ("--interval", "3600", "--repair")

    def test_every_operation_is_501_and_touches_nothing(self):
        before = everything()
        for method, target, body in CALLS:
            with self.subTest(f"{method} {target}", body=body):
                data = None if body is None else json.dumps(body).encode()
                answer = self.daemon.request(method, target, body=data)
                document = self.assert_problem(answer, 501, "no-usable-cgroup2")
                self.assertIn(self.because, document["detail"])
        self.assertEqual(everything(), before)

    def test_it_is_surveyed_as_degraded_and_said_so(self):
        self.assertEqual(self.daemon.capabilities()["assessed_mode"], "degraded")
        (labels,) = self.daemon.metrics().label_sets("surveyd_environment_info")
        self.assertEqual(labels["cgroup_version"], self.version)


class V1(Refused, DaemonCase):
    version, because = "v1", "only cgroup v1 is mounted"


class Hybrid(Refused, DaemonCase):
    version, because = "hybrid", "hybrid hierarchy"


class NotMounted(Refused, DaemonCase):
    version, because = "none", "no cgroup hierarchy is mounted"
