"""The metrics, by themselves, by promtool and by a real Prometheus."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase, eventually, program  # noqa: E402

MODES = {"full", "nested_adaptive", "degraded"}
# Name: type, labels.
FAMILIES = {
    "surveyd_capability": ("gauge", {"capability"}),
    "surveyd_capability_unknown": ("gauge", {"capability"}),
    "surveyd_capability_verified": ("gauge", {"capability"}),
    "surveyd_mode": ("gauge", {"mode"}),
    "surveyd_assessed_mode": ("gauge", {"mode"}),
    "surveyd_environment_info": ("gauge", {"cgroup_parent", "cgroup_version", "kernel"}),
    "surveyd_build_info": ("gauge", {"version", "revision", "compiler"}),
    "surveyd_survey_generation": ("gauge", set()),
    "surveyd_survey_timestamp_seconds": ("gauge", set()),
    "surveyd_survey_interval_seconds": ("gauge", set()),
    "surveyd_survey_duration_seconds": ("histogram", set()),
    "surveyd_probe_duration_seconds": ("gauge", {"probe"}),
    "surveyd_probe_failures_total": ("counter", {"probe"}),
    "surveyd_capability_changes_total": ("counter", {"capability"}),
    "surveyd_mode_changes_total": ("counter", {"from", "to"}),
    "surveyd_cgroup_controller_delegated": ("gauge", {"controller"}),
    "surveyd_cgroup_operations_total": ("counter", {"operation", "result"}),
    "surveyd_cgroup_drift_total": ("counter", {"controller"}),
    "surveyd_cgroup_containers": ("gauge", {"state"}),
    "surveyd_cgroup_removals_pending": ("gauge", set()),
    "surveyd_http_requests_total": ("counter", {"method", "route", "code"}),
    "surveyd_http_request_duration_seconds": ("histogram", {"method", "route", "code"}),
    "surveyd_http_connections": ("gauge", {"listener"}),
    "surveyd_http_rejected_total": ("counter", {"reason"}),
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
}
ROUTES = {
    "/",
    "/style.css",
    "/app.js",
    "/icon.svg",
    "/openapi.json",
    "/capabilities",
    "/api/v1/daemon/capabilities",
    "/metrics",
    "/healthz",
    "/readyz",
    "/cgroups",
    "/survey",
    "/cgroups/ensure",
    "/cgroups/containers/{id}",
    "unmatched",
}

# Without a change there is no sample, and without a container parent there are no containers.
SOMETIMES_ABSENT = {
    "surveyd_mode_changes_total",
    "surveyd_cgroup_operations_total",
    "surveyd_cgroup_containers",
}


class Exposition(DaemonCase):
    arguments = ("--interval", "3600")

    def setUp(self):
        # Every family with labels of requests has a sample after these.
        self.daemon.request("GET", "/nothing")
        self.daemon.request("DELETE", "/cgroups/containers/a")
        self.metrics = self.daemon.metrics()

    def samples_of(self, family):
        kind, _ = FAMILIES[family]
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        return [one for one in self.metrics.samples if one[0] in {family + end for end in suffixes}]

    def test_every_family_is_there_with_its_type(self):
        for family, (kind, _) in FAMILIES.items():
            with self.subTest(family):
                self.assertEqual(self.metrics.types.get(family), kind)
                self.assertIn(f"\n# HELP {family} ", "\n" + self.metrics.text)

    def test_there_is_no_other_family(self):
        self.assertEqual(set(self.metrics.types), set(FAMILIES))

    def test_every_sample_has_the_labels_of_its_family(self):
        for family, (_, labels) in FAMILIES.items():
            for name, has, _ in self.samples_of(family):
                with self.subTest(name):
                    self.assertEqual(set(has) - {"le"}, labels)

    def test_every_family_has_samples(self):
        for family in FAMILIES.keys() - SOMETIMES_ABSENT:
            with self.subTest(family):
                self.assertTrue(self.samples_of(family))

    def test_no_series_is_there_twice(self):
        series = [(name, *sorted(labels.items())) for name, labels, _ in self.metrics.samples]
        self.assertEqual(len(series), len(set(series)))

    def test_each_mode_has_three_series_of_which_one_is_1(self):
        document = self.daemon.capabilities()
        for family, field in (
            ("surveyd_mode", "effective_mode"),
            ("surveyd_assessed_mode", "assessed_mode"),
        ):
            with self.subTest(family):
                modes = {labels["mode"]: value for _, labels, value in self.samples_of(family)}
                self.assertEqual(modes.keys(), MODES)
                self.assertEqual(sorted(modes.values()), [0, 0, 1])
                self.assertEqual(modes[document[field]], 1)

    def test_capabilities_are_the_fields_of_the_document(self):
        for name, value in self.daemon.capabilities().items():
            if isinstance(value, bool):
                with self.subTest(name):
                    known = self.metrics.values("surveyd_capability", capability=name)
                    unknown = self.metrics.values("surveyd_capability_unknown", capability=name)
                    self.assertIn(unknown, ([0], [1]))
                    self.assertEqual(known, [] if unknown == [1] else [int(value)])

    def test_info_metrics_are_always_1(self):
        for family in ("surveyd_environment_info", "surveyd_build_info"):
            self.assertEqual([value for _, _, value in self.samples_of(family)], [1])

    def test_the_environment_names_the_running_kernel(self):
        labels = self.metrics.label_sets("surveyd_environment_info")[0]
        self.assertEqual(labels["kernel"], os.uname().release)
        parent = self.daemon.capabilities()["cgroup_parent"]
        self.assertEqual(labels["cgroup_parent"], parent or "")

    def test_controllers_are_a_closed_set(self):
        delegated = self.metrics.label_sets("surveyd_cgroup_controller_delegated")
        names = {labels["controller"] for labels in delegated}
        self.assertLessEqual({"cpu", "memory", "pids", "io", "cpuset", "hugetlb"}, names)
        self.assertTrue(all(re.fullmatch("[a-z]+", name) for name in names))

    def test_process_metrics_describe_the_daemon(self):
        status = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
        claimed = self.metrics.value("process_resident_memory_bytes")
        self.assertLess(abs(claimed - resident), max(claimed, resident))
        self.assertGreater(self.metrics.value("process_open_fds"), 3)
        self.assertGreater(self.metrics.value("process_cpu_seconds_total"), 0)

    def test_histograms_are_cumulative_and_complete(self):
        for family, (kind, _) in FAMILIES.items():
            if kind != "histogram":
                continue
            for labels in self.metrics.label_sets(family + "_count"):
                with self.subTest(family, **labels):
                    buckets = [
                        (float(has["le"]), value)
                        for name, has, value in self.metrics.samples
                        if name == family + "_bucket" and labels.items() <= has.items()
                    ]
                    self.assertEqual(buckets, sorted(buckets))
                    counts = [count for _, count in buckets]
                    self.assertEqual(counts, sorted(counts))
                    self.assertEqual(buckets[-1][0], float("inf"))
                    self.assertEqual(counts[-1], self.metrics.value(family + "_count", **labels))

    def test_the_text_ends_in_a_newline(self):
        self.assertTrue(self.metrics.text.endswith("\n"))


class Counting(DaemonCase):
    arguments = ("--interval", "3600")

    def count(self, **labels):
        return self.daemon.metrics().value("surveyd_http_requests_total", **labels)

    def test_requests_are_counted_by_method_route_and_code(self):
        labels = {"method": "GET", "route": "/healthz", "code": "200"}
        before = self.count(**labels)
        for _ in range(3):
            self.daemon.request("GET", "/healthz")
        self.assertEqual(self.count(**labels), before + 3)

    def test_what_a_client_makes_up_is_never_a_label(self):
        for method, path in (
            ("GET", "/made-up"),
            ("BREW", "/made-up"),
            ("GET", "/capabilities?made-up"),
            ("DELETE", "/cgroups/containers/made-up"),
            ("DELETE", "/cgroups/containers/made/up"),
            ("PROPFIND", "/"),
        ):
            self.daemon.request(method, path)
        with self.daemon.connect() as connection:
            connection.send(b"MADE-UP\r\n\r\n")
            connection.rest()
        metrics = self.daemon.metrics()
        self.assertNotIn("made", metrics.text.lower())
        self.assertNotIn("BREW", metrics.text)
        for labels in metrics.label_sets("surveyd_http_requests_total"):
            self.assertIn(labels["route"], ROUTES)

    def test_a_container_is_counted_under_its_pattern(self):
        labels = {"method": "DELETE", "route": "/cgroups/containers/{id}"}
        before = self.count(**labels)
        self.daemon.request("DELETE", "/cgroups/containers/some-id")
        self.assertEqual(self.count(**labels), before + 1)

    def test_connections_are_counted_by_listener(self):
        with self.daemon.connect() as one, self.daemon.connect(self.socket_path) as two:
            one.request("GET", "/healthz")
            two.request("GET", "/healthz")
            metrics = self.daemon.metrics()
        # The one that asks is open too.
        self.assertEqual(metrics.values("surveyd_http_connections", listener="tcp"), [2])
        self.assertEqual(metrics.values("surveyd_http_connections", listener="unix"), [1])
        self.daemon.eventually(
            lambda: self.daemon.metrics().value("surveyd_http_connections") == 1,
            "closed connections are counted no more",
        )

    def test_surveys_are_counted(self):
        before = self.daemon.metrics()
        self.assertEqual(self.daemon.request("POST", "/survey").status, 200)
        after = self.daemon.metrics()
        for name in ("surveyd_survey_generation", "surveyd_survey_duration_seconds_count"):
            with self.subTest(name):
                self.assertEqual(after.value(name), before.value(name) + 1)
        name = "surveyd_survey_timestamp_seconds"
        self.assertGreaterEqual(after.value(name), before.value(name))

    def test_operations_are_counted_with_their_result(self):
        before = self.daemon.metrics().value("surveyd_cgroup_operations_total", operation="remove")
        self.daemon.request("DELETE", "/cgroups/containers/some-id")
        metrics = self.daemon.metrics()
        after = metrics.value("surveyd_cgroup_operations_total", operation="remove")
        self.assertEqual(after, before + 1)
        results = {one["result"] for one in metrics.label_sets("surveyd_cgroup_operations_total")}
        self.assertLessEqual(results, {"ok", "refused", "failed"})


class Prometheus(unittest.TestCase):
    def test_promtool_has_nothing_to_say(self):
        promtool = program("promtool")
        with Daemon() as daemon:
            daemon.request("GET", "/nothing")
            daemon.request("DELETE", "/cgroups/containers/a")
            text = daemon.metrics().text
        ended = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
        )
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))

    def test_prometheus_scrapes_it(self):
        with Daemon() as daemon, PrometheusServer(program("prometheus"), daemon.port) as server:
            eventually(lambda: server.values("up") == ["1"], "up is 1", 60)
            modes = eventually(lambda: server.series("surveyd_mode"), "surveyd_mode is there", 60)
            self.assertEqual({one["metric"]["mode"] for one in modes}, MODES)
            self.assertEqual(sorted(one["value"][1] for one in modes), ["0", "0", "1"])
            for family, (kind, _) in FAMILIES.items():
                name = family + "_count" if kind == "histogram" else family
                if family not in SOMETIMES_ABSENT:
                    eventually(lambda name=name: server.series(name), name, 60)


class PrometheusServer:
    """A Prometheus of its own, with its data in a temporary directory."""

    def __init__(self, binary, target_port):
        self.binary = binary
        self.target = f"127.0.0.1:{target_port}"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.port = free_port()
            log = stack.enter_context(open(directory / "log", "w+", encoding="utf-8"))
            self.process = subprocess.Popen(
                [
                    self.binary,
                    f"--config.file={self.write_configuration(directory)}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(self.stop)
            self.close = stack.pop_all().close
        return self

    def __exit__(self, *_):
        self.close()

    def write_configuration(self, directory):
        path = directory / "prometheus.yml"
        path.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                    "scrape_configs": [
                        {"job_name": "surveyd", "static_configs": [{"targets": [self.target]}]}
                    ],
                }
            ),
            encoding="utf-8",
        )
        return path

    def series(self, query):
        """The result of an instant query; empty as long as the server does not answer."""
        assert self.process.poll() is None, "Prometheus has ended"
        parameters = urllib.parse.urlencode({"query": query})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{parameters}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def values(self, query):
        return [one["value"][1] for one in self.series(query)]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port():
    """Free now; nothing else on this machine is likely to take it in the next second."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


if __name__ == "__main__":
    unittest.main()
