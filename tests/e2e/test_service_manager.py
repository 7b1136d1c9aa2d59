"""What systemd is told, its watchdog, and the sockets that it hands over."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, binary, clean_environment, program  # noqa: E402
from notify_socket import NotifySocket  # noqa: E402
from wire import DEADLINE, Connection  # noqa: E402

UNITS = Path(__file__).resolve().parents[2] / "systemd"
QUICK = 5
CLIENTS = 4
# Becomes the command with the descriptors of the first argument at 3 and above, as systemd does it.
HAND_OVER = """
import fcntl, os, sys
given = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 100) for word in sys.argv[1].split(",") if word]
for number, descriptor in enumerate(given, 3):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def handing_over(*sockets):
    """What a Daemon needs to be given these."""
    numbers = [one.fileno() for one in sockets]
    for number in numbers:
        os.set_inheritable(number, True)
    return {"prefix": (sys.executable, "-c", HAND_OVER, ",".join(map(str, numbers)))}


class InheritingDaemon(Daemon):
    """A child that keeps the descriptors that it is to hand over."""

    def __init__(self, *arguments, sockets, **options):
        options.setdefault("listen", ())
        super().__init__(*arguments, **handing_over(*sockets), **options)
        if options.get("unix_socket") is None:
            place = self._command.index("--unix-socket")
            del self._command[place : place + 2]

    def __enter__(self):
        popen = subprocess.Popen
        with contextlib.ExitStack() as stack:
            stack.callback(setattr, subprocess, "Popen", popen)
            subprocess.Popen = lambda *words, **options: popen(
                *words, **options, close_fds=False
            )
            return super().__enter__()


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(address)
    one.listen(128)
    return one


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def manager(self, name="notify"):
        return self.enterContext(NotifySocket(os.path.join(self.directory, name)))

    def daemon(self, *arguments, **options):
        return self.enterContext(Daemon("--interval", "3600", *arguments, **options))


class Notifications(Case):
    def assert_becomes_ready(self, manager):
        daemon = self.daemon(environment=manager.environment, ready_line="listening on")
        first = manager.next()
        self.assertEqual(first, ["STATUS=Making the first survey"])
        ready = manager.next()
        self.assertEqual(ready[0], "READY=1")
        # At once: whoever is told may come.
        document = daemon.capabilities()
        self.assertEqual(document["survey"]["generation"], 1)
        self.assertEqual(daemon.request("GET", "/readyz").status, 200)
        modes = f"assessed_mode {document['assessed_mode']}, "
        modes += f"effective_mode {document['effective_mode']}; "
        self.assertTrue(ready[1].startswith(f"STATUS={modes}"), ready)
        self.assertRegex(ready[1], r"findings: \d+ yes, \d+ no, \d+ unknown$")
        return daemon

    def test_it_is_ready_with_the_first_survey(self):
        self.assert_becomes_ready(self.manager())

    def test_the_socket_may_be_an_abstract_one(self):
        name = f"\0surveyd-test-{os.getpid()}"
        self.assert_becomes_ready(self.enterContext(NotifySocket(name)))

    def test_sighup_is_a_reload_that_ends_with_the_survey(self):
        manager = self.manager()
        daemon = self.assert_becomes_ready(manager)
        for generation in (2, 3):
            daemon.signal(signal.SIGHUP)
            begun = manager.next()
            self.assertEqual(begun[0], "RELOADING=1")
            name, _, time = begun[1].partition("=")
            self.assertEqual(name, "MONOTONIC_USEC")
            self.assertGreater(int(time), 0)
            self.assertIn("READY=1", manager.until("READY=1")[-1])
            self.assertEqual(daemon.generation(), generation)

    def test_sigterm_says_that_it_stops_before_the_last_request_ends(self):
        manager = self.manager()
        daemon = self.assert_becomes_ready(manager)
        with daemon.connect() as client:
            client.send(b"GET /healthz HTTP/1.1\r\n")
            daemon.request("GET", "/healthz")
            daemon.signal(signal.SIGTERM)
            self.assertEqual(manager.next(), ["STOPPING=1", "STATUS=Finishing open requests"])
            client.send(f"Host: {client.host}\r\n\r\n".encode())
            self.assertEqual(client.receive().status, 200)
        daemon.wait_for_end(QUICK)
        self.assertTrue(manager.is_silent(0.01))

    def test_a_status_is_said_again_when_it_changes_only(self):
        manager = self.manager()
        with tempfile.TemporaryDirectory() as path:
            helper = Path(path, "pasta")
            helper.write_text("#!/bin/sh\n", encoding="ascii")
            helper.chmod(0o755)
            environment = {**manager.environment, "PATH": path}
            daemon = self.daemon(environment=environment)
            before = manager.until("READY=1")[-1][1]
            self.assertEqual(daemon.request("POST", "/survey").status, 200)
            self.assertTrue(manager.is_silent(0.1))
            helper.unlink()
            daemon.signal(signal.SIGHUP)
            messages = manager.until("READY=1")
            said = [line for one in messages for line in one if line.startswith("STATUS=")]
            self.assertEqual(len(said), 1, messages)
            self.assertNotEqual(said[0], before)

    def test_a_socket_that_nobody_reads_and_one_that_is_not_there_harm_nobody(self):
        gone = os.path.join(self.directory, "gone")
        daemon = self.daemon(environment={"NOTIFY_SOCKET": gone})
        self.assertEqual(daemon.request("GET", "/healthz").status, 200)
        daemon.stop(QUICK)

    def test_a_survey_that_fails_makes_it_not_ready(self):
        manager = self.manager()
        options = {"environment": manager.environment, "ready_line": "cannot be surveyed"}
        daemon = self.daemon("--subject-unit", "surveyd-test-none.service", **options)
        self.assertEqual(daemon.request("GET", "/readyz").status, 503)
        daemon.stop(QUICK)
        messages = manager.until("STOPPING=1")
        said = [line for one in messages for line in one]
        self.assertNotIn("READY=1", said)
        self.assertTrue([line for line in said if "cannot be surveyed" in line], said)

    def test_a_full_queue_holds_nobody_up_and_the_start_is_said_later(self):
        manager = self.manager()
        manager.fill()
        daemon = self.daemon(environment=manager.environment)
        self.assertEqual(daemon.request("GET", "/healthz").status, 200)
        manager.drain()
        ready = manager.next()
        self.assertEqual(ready[0], "READY=1")
        self.assertTrue(ready[1].startswith("STATUS=assessed_mode "), ready)

    def test_a_full_queue_holds_no_reload_up_and_its_end_is_said_later(self):
        manager = self.manager()
        daemon = self.assert_becomes_ready(manager)
        daemon.signal(signal.SIGHUP)
        self.assertEqual(manager.next()[0], "RELOADING=1")
        manager.until("READY=1")
        manager.fill()
        for generation in (3, 4):
            daemon.signal(signal.SIGHUP)
            daemon.eventually(lambda: daemon.generation() == generation, "another survey")
        manager.drain()
        self.assertIn("READY=1", manager.next())

    def test_programs_that_it_runs_cannot_speak_for_the_service(self):
        seen = os.path.join(self.directory, "seen")
        pasta = os.path.join(self.directory, "pasta")
        Path(pasta).write_text(f"#!/bin/sh\nenv >>{seen}\nexit 1\n", encoding="ascii")
        os.chmod(pasta, 0o755)
        manager = self.manager()
        environment = {**manager.environment, "PATH": f"{self.directory}:{os.environ['PATH']}"}
        environment |= {"WATCHDOG_USEC": "60000000"}
        daemon = self.daemon(environment=environment)
        headers = {"Content-Type": "application/json"}
        answer = daemon.request("POST", "/survey", headers, b'{"verify": true}')
        self.assertEqual(answer.status, 200, answer.body)
        if not os.path.exists(seen):
            self.skipTest("no program was run here")
        text = Path(seen).read_text()
        self.assertIn("PATH=", text)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"):
            self.assertNotIn(name, text)


class Watchdog(Case):
    def test_it_is_fed_by_the_loop_that_serves_and_by_nothing_else(self):
        manager = self.manager()
        environment = {**manager.environment, "WATCHDOG_USEC": "200000"}
        daemon = self.daemon(environment=environment)
        manager.until("READY=1")
        manager.drain()
        for _ in range(5):
            # Half the time, and a busy machine's lateness.
            self.assertEqual(manager.next(0.2 + QUICK), ["WATCHDOG=1"])
        daemon.signal(signal.SIGSTOP)
        self.addCleanup(daemon.signal, signal.SIGCONT)
        stopped = f"/proc/{daemon.pid}/stat"
        daemon.eventually(lambda: Path(stopped).read_text().split()[2] == "T", "it is stopped")
        manager.drain()
        self.assertTrue(manager.is_silent(0.5))
        daemon.signal(signal.SIGCONT)
        self.assertEqual(manager.next(), ["WATCHDOG=1"])
        daemon.signal(signal.SIGTERM)
        manager.until("STOPPING=1")

    def test_it_is_fed_again_after_a_full_queue(self):
        manager = self.manager()
        daemon = self.daemon(environment={**manager.environment, "WATCHDOG_USEC": "200000"})
        manager.until("READY=1")
        manager.fill()
        with contextlib.suppress(AssertionError):
            daemon.eventually(lambda: False, "it would be fed twice", 0.2)
        self.assertEqual(daemon.request("GET", "/healthz").status, 200)
        manager.drain()
        self.assertEqual(manager.next(), ["WATCHDOG=1"])

    def test_it_is_fed_twice_in_its_time(self):
        manager = self.manager()
        self.daemon(environment={**manager.environment, "WATCHDOG_USEC": "1000000"})
        manager.until("READY=1")
        manager.drain()
        count = 0
        with contextlib.suppress(TimeoutError):
            while count < 3:
                self.assertEqual(manager.next(1), ["WATCHDOG=1"])
                count += 1
        self.assertEqual(count, 3)

    def test_none_is_fed_that_is_not_asked_for_or_is_another_process_s(self):
        for extra in ({}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}):
            with self.subTest(extra):
                name = f"notify{len(extra)}"
                manager = self.manager(name)
                daemon = self.daemon(environment={**manager.environment, **extra})
                manager.until("READY=1")
                self.assertTrue(manager.is_silent(0.4))
                daemon.stop(QUICK)

    def test_nothing_wakes_up_without_one(self):
        daemon = self.daemon()

        def switches():
            text = Path(f"/proc/{daemon.pid}/status").read_text()
            return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])

        # One look around after another until nothing has happened in between.
        daemon.eventually(
            lambda: switches() == (threading.Event().wait(0.5), switches())[1], "it sleeps"
        )

    def test_numbers_that_are_none_are_said_at_the_start(self):
        ended = subprocess.run(
            [binary(), "serve", "--listen", "127.0.0.1:0", "--unix-socket", "none"],
            env=clean_environment({"WATCHDOG_USEC": "soon"}),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertIn("WATCHDOG_USEC", ended.stderr)


class HandedOver(Case):
    def given(self, *sockets, arguments=(), **options):
        options.setdefault("unix_socket", None)
        return self.enterContext(
            InheritingDaemon("--interval", "3600", *arguments, sockets=sockets, **options)
        )

    def unix(self, name="surveyd.sock"):
        path = os.path.join(self.directory, name)
        return self.enterContext(listening(socket.AF_UNIX, path)), path

    def test_loopback_and_unix_sockets_serve_what_their_own_kind_serves(self):
        tcp = self.enterContext(listening())
        local, path = self.unix()
        daemon = self.given(tcp, local)
        port = tcp.getsockname()[1]
        self.assertEqual(daemon.listeners, [f"http://127.0.0.1:{port}", f"unix:{path}"])
        for address in (("127.0.0.1", port), path):
            with self.subTest(address):
                self.assertEqual(daemon.request("GET", "/healthz", address=address).status, 200)
                self.assertEqual(daemon.request("POST", "/survey", address=address).status, 200)
        # Who is refused is told of this one.
        answer = daemon.request("POST", "/survey", {"Origin": "http://x"}, address=daemon.address)
        self.assertIn(path, answer.body.decode())
        with Connection(("127.0.0.1", port)) as client:
            self.assertEqual(client.request("GET", "/healthz", {"Host": "other"}).status, 421)

    def test_loopback_in_the_form_of_ipv6_is_loopback(self):
        daemon = self.given(self.enterContext(listening(socket.AF_INET6, ("::ffff:127.0.0.1", 0))))
        address = ("127.0.0.1", int(daemon.listeners[0].rpartition(":")[2]))
        self.assertEqual(daemon.request("GET", "/healthz", address=address).status, 200)
        with Connection(address) as client:
            self.assertEqual(client.request("GET", "/healthz", {"Host": "other"}).status, 421)

    def test_another_address_serves_reads_only(self):
        tcp = self.enterContext(listening(address=("0.0.0.0", 0)))
        daemon = self.given(tcp)
        address = ("127.0.0.1", tcp.getsockname()[1])
        line = daemon.wait_for_log("listening on")
        self.assertIn("reads only", line)
        self.assertEqual(daemon.request("GET", "/healthz", address=address).status, 200)
        self.assertEqual(daemon.request("POST", "/survey", address=address).status, 403)

    def test_settings_of_remote_listeners_are_for_them_too(self):
        tcp = self.enterContext(listening(address=("0.0.0.0", 0)))
        daemon = self.given(tcp, arguments=("--allow-host", "node1.example"))
        for host, status in (("node1.example", 200), ("other.example", 421)):
            answer = daemon.request("GET", "/healthz", {"Host": host})
            self.assertEqual(answer.status, status)

    def test_they_take_the_place_of_the_default_listeners_and_not_of_others(self):
        local, path = self.unix()
        other = os.path.join(self.directory, "other.sock")
        daemon = self.given(local, listen=("127.0.0.1:0",), unix_socket=other)
        tcp = f"http://127.0.0.1:{daemon.port}"
        self.assertEqual(daemon.listeners, [f"unix:{path}", tcp, f"unix:{other}"])
        alone = self.given(self.unix("third.sock")[0])
        self.assertEqual(len(alone.listeners), 1)

    def test_the_file_of_a_unix_socket_stays(self):
        local, path = self.unix()
        daemon = self.given(local)
        inode = os.stat(path).st_ino
        daemon.stop(QUICK)
        self.assertEqual(os.stat(path).st_ino, inode)

    def test_they_are_not_passed_on(self):
        tcp = self.enterContext(listening())
        daemon = self.given(tcp)
        flags = Path(f"/proc/{daemon.pid}/fdinfo/3").read_text().split("flags:")[1].split()[0]
        self.assertTrue(int(flags, 8) & os.O_CLOEXEC)

    def test_what_is_no_listening_stream_socket_is_a_clear_failure(self):
        unbound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        file = open(os.devnull, "rb")
        for what in (unbound, datagram, file):
            with self.subTest(what), what:
                daemon = InheritingDaemon(sockets=(what,), ready_line=None, unix_socket=None)
                with daemon:
                    self.assertEqual(daemon.process.wait(DEADLINE), 2)
                line = daemon.wait_for_log("descriptor 3")
                self.assertIn("is no listening stream socket", line)
                self.assertEqual([one for one in daemon.log if "listening on" in one], [])

    def test_variables_for_another_process_mean_nothing(self):
        daemon = self.daemon(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
        self.assertEqual(len(daemon.listeners), 1)

    def test_who_waits_in_the_queue_is_served_by_the_next_one(self):
        tcp = self.enterContext(listening())
        address = tcp.getsockname()
        daemon = self.given(tcp)
        with Connection(address) as busy:
            busy.send(b"GET /healthz HTTP/1.1\r\n")
            daemon.request("GET", "/healthz", address=address)
            daemon.signal(signal.SIGTERM)
            daemon.wait_for_log("signal 15")
            # Nobody accepts any more, and nobody refuses.
            with Connection(address) as early:
                early.send_request("GET", "/healthz")
                busy.send(f"Host: {busy.host}\r\n\r\n".encode())
                self.assertEqual(busy.receive().status, 200)
                busy.close()
                daemon.wait_for_end(QUICK)
                self.assertFalse(early.is_readable(0.01))
                self.given(tcp)
                self.assertEqual(early.receive().status, 200)

    def test_a_restart_loses_no_request(self):
        tcp = self.enterContext(listening())
        local, path = self.unix()
        ends = threading.Event()
        counts, lost = [0] * CLIENTS, []

        def ask(number):
            address = path if number % 2 else tcp.getsockname()
            while not ends.is_set():
                try:
                    with Connection(address) as client:
                        status = client.request("GET", "/healthz").status
                    if status != 200:
                        lost.append(status)
                except (OSError, EOFError, AssertionError) as failure:
                    lost.append(failure)
                counts[number] += 1

        daemon = self.given(tcp, local)
        clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for _ in range(8):
                before = list(counts)
                daemon.eventually(
                    lambda: all(now > old + 20 for now, old in zip(counts, before)), "requests"
                )
                daemon.stop(QUICK)
                daemon = self.given(tcp, local)
        finally:
            ends.set()
            for client in clients:
                client.join(DEADLINE)
        print(f"{sum(counts)} requests over 8 restarts, lost: {len(lost)}", file=sys.stderr)
        self.assertEqual(lost, [])


class Units(unittest.TestCase):
    def test_the_exposure_of_the_service_is_low(self):
        ended = subprocess.run(
            [program("systemd-analyze"), "security", "--offline=true", UNITS / "surveyd.service"],
            env={**os.environ, "SYSTEMD_LOG_LEVEL": "err"},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        overall = re.search(r"exposure level for surveyd.service: ([0-9.]+)", ended.stdout)
        self.assertIsNotNone(overall, ended.stdout + ended.stderr)
        self.assertLessEqual(float(overall[1]), 3.0, ended.stdout)

    def test_every_setting_is_documented(self):
        document = (UNITS.parent / "docs" / "systemd.md").read_text(encoding="utf-8")
        text = (UNITS / "surveyd.service").read_text(encoding="ascii")
        service = text.partition("[Service]")[2].partition("[Install]")[0]
        names = set(re.findall(r"^([A-Z]\w+)=", service, re.MULTILINE))
        self.assertIn("CapabilityBoundingSet", names)
        missing = {one for one in names if f"{one}=" not in document}
        self.assertEqual(missing, set())


class SecondSignal(Case):
    def test_it_ends_at_once_with_0_and_says_so(self):
        for first, second in (
            (signal.SIGTERM, signal.SIGTERM),
            (signal.SIGINT, signal.SIGINT),
            (signal.SIGTERM, signal.SIGINT),
        ):
            with self.subTest(f"{first.name}, {second.name}"), Daemon() as daemon:
                client = self.enterContext(daemon.connect())
                client.send(b"GET /healthz HTTP/1.1\r\n")
                daemon.request("GET", "/healthz")
                daemon.signal(first)
                daemon.wait_for_log("finishing open requests")
                daemon.signal(second)
                daemon.wait_for_log(f"signal {second.value}: ending at once, 1 open requests")
                daemon.wait_for_end(QUICK)
                self.assertEqual(client.rest(), b"")


if __name__ == "__main__":
    unittest.main()
