"""When surveys run, what they share, and how the daemon ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase, needs_root  # noqa: E402
from wire import DEADLINE, Connection  # noqa: E402

# What an orchestrator waits before it kills.
QUICK = 5


class PostSurvey(DaemonCase):
    arguments = ("--interval", "3600")

    def test_each_call_raises_the_generation(self):
        before = self.daemon.generation()
        for number in range(1, 4):
            document = self.daemon.request("POST", "/survey").json()
            self.assertEqual(document["survey"]["generation"], before + number)

    def test_what_it_answers_is_what_is_served_from_then_on(self):
        document = self.daemon.request("POST", "/survey").json()
        self.assertEqual(self.daemon.capabilities(), document)

    def test_the_time_of_the_survey_moves_on(self):
        first = self.daemon.request("POST", "/survey").json()["survey"]["surveyed_at"]
        second = self.daemon.request("POST", "/survey").json()["survey"]["surveyed_at"]
        self.assertGreaterEqual(second, first)

    def test_concurrent_calls_share_runs(self):
        callers = 50
        before = self.daemon.generation()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.daemon.connect()) for _ in range(callers)]
            # All requests are there before the first of them is looked at.
            self.daemon.signal(signal.SIGSTOP)
            for client in clients:
                client.send_request("POST", "/survey")
            self.daemon.signal(signal.SIGCONT)
            answers = [client.receive() for client in clients]
        self.assertEqual({answer.status for answer in answers}, {200})
        generations = {answer.json()["survey"]["generation"] for answer in answers}
        self.assertGreater(min(generations), before)
        self.assertLess(len(generations), callers)

    def test_reads_are_served_while_surveys_run(self):
        with self.daemon.connect() as asking, self.daemon.connect() as reading:
            asking.send(asking.request_bytes("POST", "/survey") * 100)
            for _ in range(100):
                self.assertEqual(reading.request("GET", "/capabilities").status, 200)
            for _ in range(100):
                self.assertEqual(asking.receive().status, 200)


class Occasions(unittest.TestCase):
    def test_sighup_surveys(self):
        with Daemon("--interval", "3600") as daemon:
            for _ in range(3):
                before = daemon.generation()
                daemon.signal(signal.SIGHUP)
                daemon.eventually(lambda: daemon.generation() > before, "a survey after SIGHUP")

    def test_signals_until_the_end_leave_its_status_alone(self):
        for _ in range(5):
            with Daemon() as daemon:
                pid = daemon.pid
                while daemon.process.returncode is None:
                    os.kill(pid, signal.SIGTERM)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        daemon.process.wait(0.001)
                self.assertEqual(daemon.process.returncode, 0)

    def test_it_surveys_by_itself_at_the_interval(self):
        with Daemon("--interval", "1") as daemon:
            begun, before = time.monotonic(), daemon.generation()
            daemon.eventually(lambda: daemon.generation() >= before + 2, "two more surveys")
            self.assertGreater(time.monotonic() - begun, 1)

    def test_it_does_not_survey_before_the_interval_has_passed(self):
        with Daemon("--interval", "3600") as daemon:
            for _ in range(50):
                self.assertEqual(daemon.generation(), 1)

    def test_a_change_is_noticed_counted_and_logged(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory  # alone: pasta may be installed
            helper = Path(directory, "pasta")
            helper.write_text("#!/bin/sh\n", encoding="utf-8")
            helper.chmod(0o755)
            with Daemon("--interval", "1", environment={"PATH": path}) as daemon:
                self.assertEqual(self.pasta(daemon), [1])
                helper.unlink()
                line = daemon.wait_for_log("pasta_available changed from yes to no: ")
                self.assertTrue(line.rpartition(": ")[2])
                daemon.eventually(lambda: self.pasta(daemon) == [0], "the gauge follows")
                name = "surveyd_capability_changes_total"
                self.assertEqual(daemon.metrics().values(name, capability="pasta_available"), [1])
                self.assertEqual(daemon.metrics().values(name, capability="is_root"), [0])
                self.assert_change(daemon)

    def assert_change(self, daemon):
        """What is in the log is in the ring of changes, and dates the finding."""
        change = daemon.request("GET", "/changes").json()["changes"][0]
        self.assertEqual((change["what"], change["from"], change["to"]), ("pasta_available", "yes", "no"))
        self.assertEqual((change["from_code"], change["to_code"]), ("available", "program_missing"))
        finding = daemon.request("GET", "/findings/pasta_available").json()
        self.assertEqual(finding["changed_at"], change["at"])
        self.assertEqual(finding["reason"], change["reason"])
        daemon.eventually(
            lambda: daemon.request("GET", "/findings/pasta_available").json()["checked_at"] > change["at"],
            "a later check",
        )
        finding = daemon.request("GET", "/findings/pasta_available").json()
        self.assertEqual(finding["changed_at"], change["at"])
        self.assertEqual(len(daemon.request("GET", "/changes").json()["changes"]), 1)

    def pasta(self, daemon):
        return daemon.metrics().values("surveyd_capability", capability="pasta_available")


class Ending(unittest.TestCase):
    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = os.path.join(directory, "surveyd.sock")
        self.daemon = self.enterContext(Daemon(unix_socket=self.path))

    def begin_post(self, headers=()):
        """A request whose head has been read and whose body is missing."""
        connection = self.enterContext(Connection(self.path))
        headers = [("Content-Length", "2"), *headers]
        connection.send_request("POST", "/survey", headers)
        connection.wait_until_read()
        return connection

    def begin_to_end(self):
        self.daemon.signal(signal.SIGTERM)
        self.daemon.wait_for_log("signal 15")

    def assert_answered(self, connection):
        connection.send(b"{}")
        answer = connection.receive()
        # Its own user may change over the Unix socket.
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.closes)
        self.assertEqual(connection.rest(), b"")
        connection.close()
        self.daemon.wait_for_end(QUICK)

    def test_sigterm_and_sigint_end_it_with_0(self):
        self.daemon.stop(QUICK)
        with Daemon() as other:
            other.signal(signal.SIGINT)
            other.wait_for_end(QUICK)

    def test_sigterm_ends_it_although_connections_are_open(self):
        used = self.enterContext(self.daemon.connect())
        self.assertEqual(used.request("GET", "/healthz").status, 200)
        unused = self.enterContext(self.daemon.connect())
        self.daemon.request("GET", "/healthz")
        begun = time.monotonic()
        self.daemon.stop(QUICK)
        self.assertLess(time.monotonic() - begun, 2)
        self.assertEqual(used.rest(), b"")
        self.assertEqual(unused.rest(), b"")

    def test_a_request_in_flight_is_answered(self):
        connection = self.begin_post()
        self.begin_to_end()
        self.assert_answered(connection)

    def test_a_request_that_was_told_to_continue_is_answered(self):
        connection = self.begin_post([("Expect", "100-continue")])
        self.assertEqual(connection.receive().status, 100)
        self.begin_to_end()
        self.assert_answered(connection)

    def test_no_new_connection_is_taken_meanwhile(self):
        connection = self.begin_post()
        self.begin_to_end()
        self.daemon.eventually(self.is_deaf, "new connections are refused")
        self.assert_answered(connection)

    def is_deaf(self):
        try:
            self.daemon.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def test_a_request_that_never_ends_does_not_hold_it_up(self):
        self.begin_post()
        self.daemon.stop(QUICK + 2)

    def test_sigterm_at_once_after_the_start_ends_it_with_0(self):
        for _ in range(10):
            with Daemon(ready_line="listening on ") as other:
                other.stop(QUICK)

    def test_a_log_that_nobody_reads_any_more_does_not_end_it(self):
        two_lines = 'exec "$@" 2>&1 >/dev/null | head -n 2 >&2'
        with Daemon(prefix=("sh", "-c", two_lines, "sh")) as other:
            before = other.generation()
            for _ in range(3):
                self.assertEqual(other.request("GET", "/healthz").status, 200)
            other.signal(signal.SIGHUP)
            other.eventually(lambda: other.generation() > before, "a survey")


class LogFormat(unittest.TestCase):
    def test_json_is_one_object_a_line(self):
        with Daemon("--log-format", "json") as daemon:
            daemon.request("POST", "/survey")
            daemon.stop()
            for line in daemon.log:
                record = json.loads(line)
                self.assertEqual(set(record), {"time", "level", "message"})

    def test_a_level_hides_what_is_below_it(self):
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "surveyd.sock")

        def is_ready():
            with contextlib.suppress(OSError):
                return daemon.request("GET", "/readyz", address=path).status == 200

        with Daemon("--log-level", "error", unix_socket=path, ready_line=None) as daemon:
            daemon.eventually(is_ready, "it is ready")
            daemon.stop()
            self.assertEqual(daemon.log, [])


@needs_root
class HungProbe(unittest.TestCase):
    """/dev/net/tun never answers an open, as on a device whose driver hangs."""

    @classmethod
    def setUpClass(cls):
        tool = os.environ.get("SURVEYD_FUSEHANG")
        if not tool:
            raise unittest.SkipTest("SURVEYD_FUSEHANG is not set")
        for device in ("/dev/fuse", "/dev/net/tun"):
            if not os.path.exists(device):
                raise unittest.SkipTest(f"there is no {device}")
        cls.hang = (sys.executable, tool, "/dev/net/tun", "--")

    def setUp(self):
        self.daemon = self.enterContext(Daemon(prefix=self.hang, ready_line="listening on "))
        self.begun = time.monotonic()

    def passed(self):
        return time.monotonic() - self.begun

    def capabilities(self):
        """The first survey, as soon as there is one."""

        def answered():
            answer = self.daemon.request("GET", "/capabilities")
            return answer.status == 200 and answer.json()

        return self.daemon.eventually(answered, "a survey without the probe that hangs")

    def test_the_process_serves_at_once(self):
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)
        self.assertEqual(self.daemon.request("GET", "/metrics").status, 200)
        self.assertLess(self.passed(), 3)

    def test_before_the_first_survey_it_is_not_ready(self):
        answer = self.daemon.request("GET", "/readyz")
        if answer.status == 503:
            self.assertGreaterEqual(int(answer.header("Retry-After")), 1)
        self.capabilities()
        self.assertEqual(self.daemon.request("GET", "/readyz").status, 200)

    def test_within_3_seconds_the_device_is_unavailable_and_the_rest_is_known(self):
        document = self.capabilities()
        self.assertLess(self.passed(), 3)
        self.assertFalse(document["tun_device_available"])
        self.assertTrue(document["is_root"])
        unmet = {one["capability"]: one["reason"] for one in document["unmet_for_full"]}
        self.assertIn("timed out", unmet["tun_device_available"])

    def test_the_answer_is_unknown_and_not_no(self):
        self.capabilities()
        metrics = self.daemon.metrics()
        tun = {"capability": "tun_device_available"}
        self.assertEqual(metrics.values("surveyd_capability_unknown", **tun), [1])
        self.assertEqual(metrics.values("surveyd_capability", **tun), [])
        self.assertEqual(metrics.value("surveyd_probe_failures_total"), 1)
        failures = metrics.values("surveyd_probe_failures_total", probe="tun_device_available")
        self.assertEqual(failures, [1])

    def test_further_surveys_neither_wait_nor_pile_up_threads(self):
        self.capabilities()
        threads = Path(f"/proc/{self.daemon.pid}/task")
        before = len(list(threads.iterdir()))
        for _ in range(5):
            begun = time.monotonic()
            answer = self.daemon.request("POST", "/survey")
            self.assertEqual(answer.status, 200)
            self.assertFalse(answer.json()["tun_device_available"])
            self.assertLess(time.monotonic() - begun, 3)
        self.assertLessEqual(len(list(threads.iterdir())), before)

    def test_concurrent_surveys_share_the_run_that_hangs(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.daemon.connect()) for _ in range(8)]
            for client in clients:
                client.send_request("POST", "/survey")
            answers = [client.receive().json() for client in clients]
        self.assertLessEqual(len({one["survey"]["generation"] for one in answers}), 2)
        self.assertLess(self.passed(), DEADLINE)

    def test_sigterm_ends_it_within_5_seconds(self):
        self.capabilities()
        self.daemon.stop(QUICK)

    def test_sigterm_during_the_first_survey_ends_it_within_5_seconds(self):
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)
        self.daemon.stop(QUICK)


if __name__ == "__main__":
    unittest.main()
