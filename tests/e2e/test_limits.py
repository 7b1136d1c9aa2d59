"""What one client may cost: sizes, deadlines, connections and descriptors."""

import contextlib
import resource
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase, run  # noqa: E402
from wire import Connection, Metrics, send_until_answered, trickle  # noqa: E402

HEAD_LIMIT = 8 * 1024
BODY_LIMIT = 16 * 1024
HEAD_DEADLINE = 10
BODY_DEADLINE = 5
WRITE_DEADLINE = 15
CONNECTIONS = 4096
KEPT_FOR_UNIX = 64
# A busy machine may be this much late; what is early is wrong on any machine.
PATIENCE = 6
MEBIBYTE = 1024 * 1024
CHUNKED = {"Transfer-Encoding": "chunked"}


def head_of_size(connection, size, method="GET", target="/healthz"):
    """A request whose head has exactly this size."""
    empty = len(connection.request_bytes(method, target, {"X-Pad": ""}))
    return connection.request_bytes(method, target, {"X-Pad": "a" * (size - empty)})


class Sizes(DaemonCase):
    def assert_refused_and_closed(self, connection, status):
        answer = connection.receive()
        self.assert_problem(answer, status)
        self.assertTrue(answer.closes)
        self.assertEqual(connection.rest(), b"")

    def test_a_head_up_to_the_limit_is_taken(self):
        for size in (HEAD_LIMIT - 200, HEAD_LIMIT - 1, HEAD_LIMIT):
            with self.subTest(size), self.daemon.connect() as connection:
                connection.send(head_of_size(connection, size))
                self.assertEqual(connection.receive().status, 200)

    def test_a_head_beyond_the_limit_is_431(self):
        for size in (HEAD_LIMIT + 1, HEAD_LIMIT + 200, 2 * HEAD_LIMIT, 20 * HEAD_LIMIT):
            with self.subTest(size), self.daemon.connect() as connection:
                connection.send(head_of_size(connection, size))
                self.assert_refused_and_closed(connection, 431)
                self.assertFalse(connection.was_reset)

    def test_many_small_fields_beyond_the_limit_are_431(self):
        with self.daemon.connect() as connection:
            fields = [(f"X-{number}", "a") for number in range(1000)]
            connection.send_request("GET", "/healthz", fields)
            self.assert_refused_and_closed(connection, 431)

    def test_a_target_beyond_the_limit_is_414(self):
        for size in (HEAD_LIMIT, HEAD_LIMIT + 1, 2 * HEAD_LIMIT):
            with self.subTest(size), self.daemon.connect() as connection:
                connection.send(b"GET /" + b"a" * size + b" HTTP/1.1\r\n\r\n")
                self.assert_refused_and_closed(connection, 414)

    def test_a_body_beyond_the_limit_is_413_before_it_is_sent(self):
        for size in (BODY_LIMIT + 1, 10 * MEBIBYTE, 2**63):
            with self.subTest(size), self.daemon.connect() as connection:
                connection.send_request("POST", "/survey", {"Content-Length": str(size)})
                self.assert_refused_and_closed(connection, 413)

    def test_a_body_beyond_the_limit_is_413_although_it_was_sent(self):
        with self.daemon.connect() as connection:
            connection.send_request("POST", "/survey", body=b" " * (BODY_LIMIT + 1))
            self.assert_refused_and_closed(connection, 413)
            self.assertFalse(connection.was_reset)

    def test_chunks_beyond_the_limit_are_413(self):
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        with self.daemon.connect() as connection:
            connection.send_request("POST", "/survey", CHUNKED)
            connection.send(chunk * 17)
            self.assert_refused_and_closed(connection, 413)

    def test_a_body_up_to_the_limit_is_taken(self):
        for headers, body in (
            ({}, b" " * BODY_LIMIT),
            (CHUNKED, (b"400\r\n" + b" " * 1024 + b"\r\n") * 16 + b"0\r\n\r\n"),
        ):
            with self.subTest(headers), self.daemon.connect() as connection:
                if headers:
                    connection.send_request("POST", "/survey", headers)
                    connection.send(body)
                else:
                    connection.send_request("POST", "/survey", body=body)
                self.assertEqual(connection.receive().status, 200)


class Endless(DaemonCase):
    """Whatever never ends is refused after a bounded number of bytes, and the daemon goes on."""

    MOST = 32 * MEBIBYTE

    def assert_ends(self, begin, chunk, *statuses):
        with self.daemon.connect() as connection:
            connection.send(begin(connection))
            sent = send_until_answered(connection, chunk, self.MOST)
            self.assertLess(sent, self.MOST, "nothing stopped it")
            answer = connection.receive()
            self.assertIn(answer.status, statuses)
            self.assertTrue(answer.closes)
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)

    def chunked(self, start):
        return lambda connection: connection.request_bytes("POST", "/survey", CHUNKED) + start

    def test_an_endless_target_ends(self):
        self.assert_ends(lambda _: b"GET /", b"a" * 1024, 414)

    def test_an_endless_method_ends(self):
        self.assert_ends(lambda _: b"", b"A" * 1024, 400, 414, 431, 501)

    def test_an_endless_field_ends(self):
        self.assert_ends(lambda _: b"GET / HTTP/1.1\r\nX: ", b"a" * 1024, 431)

    def test_endless_fields_end(self):
        self.assert_ends(lambda _: b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 100, 431)

    def test_endless_empty_lines_end(self):
        self.assert_ends(lambda _: b"", b"\r\n" * 512, 400, 414, 431)

    def test_an_endless_body_ends(self):
        self.assert_ends(self.chunked(b""), b"400\r\n" + b" " * 1024 + b"\r\n", 413)

    def test_endless_small_chunks_end(self):
        self.assert_ends(self.chunked(b""), b"1\r\n \r\n" * 100, 400, 413)

    def test_an_endless_chunk_extension_ends(self):
        self.assert_ends(self.chunked(b"1;a="), b"a" * 1024, 400, 431)

    def test_endless_chunk_extensions_end(self):
        self.assert_ends(self.chunked(b""), b"1;" + b"a" * 1000 + b"\r\n \r\n", 400, 413)

    def test_an_endless_chunk_size_ends(self):
        self.assert_ends(self.chunked(b""), b"0" * 1024, 400)

    def test_an_endless_trailer_ends(self):
        self.assert_ends(self.chunked(b"0\r\nX: "), b"a" * 1024, 400, 431)

    def test_endless_trailers_end(self):
        self.assert_ends(self.chunked(b"0\r\n"), b"X: a\r\n" * 100, 400, 431)


class Deadlines(DaemonCase):
    """All of them at the same time: the longest is what the test takes."""

    def assert_timed_out(self, connection, seconds, deadline):
        self.assertIsNotNone(seconds, "never answered")
        self.assertGreater(seconds, deadline - 0.5)
        answer = connection.receive()
        self.assert_problem(answer, 408)
        self.assertTrue(answer.closes)

    def test_slow_clients_are_timed_out_and_trickling_does_not_help(self):
        with contextlib.ExitStack() as stack:

            def open_with(data):
                connection = stack.enter_context(self.daemon.connect())
                connection.send(data)
                return connection

            begun = time.monotonic()
            deaf = stack.enter_context(Connection(self.daemon.address, receive_buffer=4096))
            self.flood(deaf)
            idle = open_with(b"")
            idle.request("GET", "/healthz")

            silent_head = open_with(b"G")
            slow_head = open_with(b"GET / HTTP/1.1\r\nX: ")
            later_head = open_with(b"")
            later_head.request("GET", "/healthz")
            later_head.send(b"GET / HTTP/1.1\r\nX: ")
            heads = [silent_head, slow_head, later_head]

            post = idle.request_bytes("POST", "/survey", {"Content-Length": "100"})
            silent_body = open_with(post)
            slow_body = open_with(post)
            slow_chunks = open_with(idle.request_bytes("POST", "/survey", CHUNKED))
            told_to_continue = open_with(
                idle.request_bytes("POST", "/survey", {**CHUNKED, "Expect": "100-continue"})
            )
            self.assertEqual(told_to_continue.receive().status, 100)
            bodies = [silent_body, slow_body, slow_chunks, told_to_continue]
            self.assertEqual(self.open_connections(), 9)

            morsels = dict.fromkeys(heads + bodies, b" ")
            morsels[silent_head] = morsels[silent_body] = morsels[told_to_continue] = b""
            morsels[slow_chunks] = b"1\r\n \r\n"
            waited = trickle(morsels, 0.5, HEAD_DEADLINE + PATIENCE)
            for connection in heads:
                self.assert_timed_out(connection, waited[connection], HEAD_DEADLINE)
            for connection in bodies:
                self.assert_timed_out(connection, waited[connection], BODY_DEADLINE)
                self.assertLess(waited[connection], HEAD_DEADLINE, "the deadline of a head")
                connection.close()
            for connection in heads:
                connection.close()

            left = WRITE_DEADLINE + PATIENCE - (time.monotonic() - begun)
            self.daemon.eventually(
                lambda: self.open_connections() == 1, "the client that does not read is gone", left
            )
            self.assertGreater(time.monotonic() - begun, WRITE_DEADLINE - 0.5)
            self.assertEqual(idle.request("GET", "/healthz").status, 200)

    def flood(self, connection):
        """Asks for more than the buffers hold and reads none of it."""
        requests = connection.request_bytes("GET", "/app.js") * 100
        connection.socket.settimeout(0.2)
        try:
            while True:
                connection.send(requests)
        except TimeoutError:
            pass  # the daemon waits for us to read

    def open_connections(self):
        """Asked over the Unix socket, which does not count among them."""
        return self.daemon.metrics(self.socket_path).value(
            "surveyd_http_connections", listener="tcp"
        )


class Closing(DaemonCase):
    def test_a_refusal_reaches_a_client_that_still_sends(self):
        for _ in range(20):
            with self.daemon.connect() as connection:
                head = connection.request_bytes("POST", "/survey", {"Content-Length": "50000"})
                connection.send(head + b"a" * 50_000)
                self.assertEqual(connection.receive().status, 413)
                self.assertEqual(connection.rest(), b"")
                self.assertFalse(connection.was_reset)

    def test_a_connection_serves_ten_thousand_requests_at_most(self):
        requests, answers = 10_000, 0
        with self.daemon.connect() as connection:
            data = connection.request_bytes("HEAD", "/healthz") * 100
            for _ in range(requests // 100):
                connection.send(data)
                for _ in range(100):
                    answer = connection.receive("HEAD")
                    answers += 1
                    self.assertEqual(answer.closes, answers == requests)
            self.assertEqual(connection.rest(), b"")


class Settings(unittest.TestCase):
    """Each limit is what its setting says, and is counted when it is reached."""

    def start(self, *arguments):
        self.daemon = self.enterContext(Daemon("--interval", "3600", *arguments))

    def rejected(self, reason):
        metrics = self.daemon.metrics()
        return metrics.value("surveyd_http_rejected_total", reason=reason)

    def assert_counted(self, reason):
        self.daemon.eventually(lambda: self.rejected(reason) == 1, f"{reason} is counted")

    def test_every_reason_is_there_from_the_start(self):
        self.start()
        metrics = self.daemon.metrics()
        series = metrics.label_sets("surveyd_http_rejected_total")
        self.assertEqual(len(series), 23)
        values = metrics.values("surveyd_http_rejected_total")
        self.assertEqual(set(values), {0})

    def test_the_size_of_a_head(self):
        self.start("--max-head-bytes", "1000")
        for size, status in ((1000, 200), (1001, 431)):
            with self.daemon.connect() as connection:
                connection.send(head_of_size(connection, size))
                self.assertEqual(connection.receive().status, status)
        self.assert_counted("head_too_large")

    def test_the_size_of_a_body(self):
        self.start("--max-body-bytes", "100")
        for size, status in ((100, 200), (101, 413)):
            answer = self.daemon.request("POST", "/survey", body=b" " * size)
            self.assertEqual(answer.status, status)
        self.assert_counted("body_too_large")

    def test_a_large_body_is_taken_where_that_is_set(self):
        self.start("--max-body-bytes", "1000000", "--max-request-bytes", "1100000")
        answer = self.daemon.request("POST", "/survey", body=b" " * 1000000)
        self.assertEqual(answer.status, 200)

    def test_the_bytes_of_a_whole_request(self):
        self.start("--max-request-bytes", "25000")
        with self.daemon.connect() as connection:
            connection.send_request("POST", "/survey", CHUNKED)
            connection.send((b"1;" + b"x" * 100 + b"\r\n \r\n") * 300)
            self.assertEqual(connection.receive().status, 400)
        self.assert_counted("request_too_large")

    def test_the_requests_of_a_connection(self):
        self.start("--max-requests", "2")
        with self.daemon.connect() as connection:
            self.assertFalse(connection.request("GET", "/healthz").closes)
            self.assertTrue(connection.request("GET", "/healthz").closes)
        self.assert_counted("request_count")

    def test_the_number_of_connections(self):
        self.start("--max-connections", "8", "--unix-connections", "2")
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                connection = stack.enter_context(self.daemon.connect())
                self.assertEqual(connection.request("GET", "/healthz").status, 200)
            with self.daemon.connect() as surplus:
                self.assertEqual(surplus.receive().status, 503)
        self.daemon.eventually(
            lambda: self.daemon.request("GET", "/healthz").status == 200, "there is room again"
        )
        self.assertGreaterEqual(self.rejected("connections"), 1)

    def test_what_there_are_descriptors_for_holds_as_it_is_set(self):
        self.start("--max-connections", "8", "--unix-connections", "7")
        self.assertFalse([line for line in self.daemon.log if "--max-connections" in line])
        with self.daemon.connect() as only:
            self.assertEqual(only.request("GET", "/healthz").status, 200)
            with self.daemon.connect() as surplus:
                self.assertEqual(surplus.receive().status, 503)

    def test_the_deadlines(self):
        deadlines = ("head", "body", "idle")
        self.start(*(word for name in deadlines for word in (f"--{name}-deadline", "1")))
        with contextlib.ExitStack() as stack:
            head, body, idle = (stack.enter_context(self.daemon.connect()) for _ in deadlines)
            head.send(b"GET")
            body.send_request("POST", "/survey", {"Content-Length": "1"})
            self.assertEqual(head.receive().status, 408)
            self.assertEqual(body.receive().status, 408)
            self.assertEqual(idle.rest(), b"")
        for name in deadlines:
            self.assert_counted(f"{name}_timeout")

    def test_the_deadline_of_an_answer(self):
        self.start("--write-deadline", "1")
        with Connection(self.daemon.address, receive_buffer=4096) as connection:
            # More than all buffers between the two hold.
            connection.send(connection.request_bytes("GET", "/findings") * 400)
            self.daemon.eventually(lambda: self.rejected("write_timeout") == 1, "it is given up")

    def test_the_deadline_of_an_answer_is_not_extended_by_further_requests(self):
        self.start("--write-deadline", "1")
        with Connection(self.daemon.address, receive_buffer=2048) as connection:
            # The buffers between the two hold all of it, and the client's own only a part.
            connection.send_request("GET", "/findings")

            def ask_again():
                with contextlib.suppress(OSError):
                    connection.send_request("GET", "/healthz")
                return self.rejected("write_timeout") == 1

            self.daemon.eventually(ask_again, "it is given up", 5)

    def test_what_makes_no_sense_is_refused(self):
        for arguments in (
            ("--max-connections", "10", "--unix-connections", "10"),
            ("--max-request-bytes", "20000"),
            ("--max-head-bytes", "20000"),
            ("--head-deadline", "0"),
            ("--idle-deadline", "-1"),
        ):
            with self.subTest(arguments):
                ended = run("serve", *arguments)
                self.assertEqual(ended.returncode, 2)
                self.assertIn(arguments[-2], ended.stderr)


class Crowds(DaemonCase):
    @classmethod
    def setUpClass(cls):
        cls.allow_descriptors(CONNECTIONS + 200)
        super().setUpClass()

    @classmethod
    def allow_descriptors(cls, needed):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise unittest.SkipTest(f"needs {needed} descriptors, at most {hard} are allowed")
        if soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            limits = (soft, hard)
            cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    def test_beyond_the_cap_is_503_with_retry_after_and_the_unix_socket_stays_free(self):
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(self.daemon.connect())
                for _ in range(CONNECTIONS - KEPT_FOR_UNIX)
            ]
            self.assertEqual(clients[-1].request("GET", "/healthz").status, 200)

            with self.daemon.connect() as connection:
                answer = connection.receive()
                self.assert_problem(answer, 503)
                self.assertGreaterEqual(int(answer.header("Retry-After")), 1)
                self.assertTrue(answer.closes)
                self.assertEqual(connection.rest(), b"")

            over_unix = self.daemon.request("GET", "/healthz", address=self.socket_path)
            self.assertEqual(over_unix.status, 200)
            self.assertEqual(clients[0].request("GET", "/healthz").status, 200)

        def answers_again():
            with contextlib.suppress(OSError):
                return self.daemon.request("GET", "/healthz").status == 200

        self.daemon.eventually(answers_again, "the daemon answers again")


class Descriptors(unittest.TestCase):
    LIMIT = 48
    CROWD = 100

    def setUp(self):
        shell = f'ulimit -n {self.LIMIT} && exec "$@"'
        self.daemon = self.enterContext(Daemon(prefix=("sh", "-c", shell, "sh")))
        self.first = self.enterContext(self.daemon.connect())
        self.assertEqual(self.first.request("GET", "/healthz").status, 200)

    def exhaust(self, stack):
        """Connects until the daemon cannot accept any more; some are told so."""
        crowd = [stack.enter_context(self.daemon.connect()) for _ in range(self.CROWD)]
        self.daemon.eventually(
            lambda: any(client.is_readable(0) for client in crowd), "somebody is turned away"
        )
        return crowd

    def test_fewer_connections_than_set_are_a_warning_with_both_numbers(self):
        line = self.daemon.wait_for_log("--max-connections")
        self.assertIn(" warn", line)
        for number in (self.LIMIT, self.LIMIT // 2, 4096):
            self.assertIn(f" {number} ", line)

    def test_who_was_accepted_is_served_and_who_was_not_is_told(self):
        with contextlib.ExitStack() as stack:
            crowd = self.exhaust(stack)
            told = next(client for client in crowd if client.is_readable(0))
            answer = told.receive()
            self.assertEqual(answer.status, 503)
            self.assertGreaterEqual(int(answer.header("Retry-After")), 1)
            for path in ("/healthz", "/capabilities", "/metrics"):
                self.assertEqual(self.first.request("GET", path).status, 200)

    def test_it_answers_again_once_there_are_descriptors(self):
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                self.exhaust(stack)

            def answers():
                with contextlib.suppress(OSError, EOFError):
                    return self.daemon.request("GET", "/healthz").status == 200

            self.daemon.eventually(answers, "a new connection is served")

    def test_it_does_not_burn_a_core_meanwhile(self):
        with contextlib.ExitStack() as stack:
            self.exhaust(stack)
            begun, before = time.monotonic(), self.cpu_seconds()
            with contextlib.suppress(AssertionError):
                self.daemon.eventually(lambda: False, "a second passes", 1)
            passed = time.monotonic() - begun
            self.assertLess(self.cpu_seconds() - before, passed / 4)

    def cpu_seconds(self):
        metrics = Metrics(self.first.request("GET", "/metrics").body.decode())
        return metrics.value("process_cpu_seconds_total")

    def test_a_survey_without_descriptors_turns_no_answer_around(self):
        # Asking who calls takes a descriptor as well, once.
        self.assertEqual(self.first.request("POST", "/survey").status, 200)
        before = self.capabilities()
        with contextlib.ExitStack() as stack:
            self.exhaust(stack)
            self.assertEqual(self.first.request("POST", "/survey").status, 200)
            # What cannot be asked is unknown, and then has no value.
            for name, value in self.capabilities().items():
                self.assertEqual(value, before[name], name)
        self.assertEqual(self.first.request("POST", "/survey").status, 200)
        self.assertEqual(self.capabilities(), before)

    def capabilities(self):
        metrics = Metrics(self.first.request("GET", "/metrics").body.decode())
        names = [labels["capability"] for labels in metrics.label_sets("surveyd_capability")]
        return {name: metrics.value("surveyd_capability", capability=name) for name in names}


if __name__ == "__main__":
    unittest.main()
