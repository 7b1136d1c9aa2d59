"""Every route and method, and HTTP/1.1 as clients speak it."""

import json
import re
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase, eventually, is_root  # noqa: E402
from wire import DEADLINE, Connection  # noqa: E402

JSON = "application/json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
READS = {
    "/capabilities": JSON,
    "/api/v1/daemon/capabilities": JSON,
    "/findings": JSON,
    "/findings/tun_device_available": JSON,
    "/changes": JSON,
    "/healthz": JSON,
    "/readyz": JSON,
    "/metrics": TEXT,
    "/": "text/html; charset=utf-8",
    "/style.css": "text/css; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
    "/openapi.json": JSON,
}
PAGE = ("/", "/style.css", "/app.js", "/icon.svg", "/openapi.json")
CACHED = (
    "/capabilities",
    "/api/v1/daemon/capabilities",
    "/findings",
    "/findings/tun_device_available",
    "/changes",
    *PAGE,
)
ALLOWED = {
    **{path: "GET, HEAD" for path in (*READS, "/cgroups")},
    "/survey": "POST",
    "/cgroups/ensure": "POST",
    "/cgroups/containers/some-id": "DELETE",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
MODES = {"full", "nested_adaptive", "degraded"}
OPTIONAL_TEXT = (str, type(None))
FIELDS = {
    "is_root": bool,
    "is_nested": bool,
    "cgroup_parent": OPTIONAL_TEXT,
    "can_write_cgroup_root": bool,
    "has_cap_net_admin": bool,
    "tun_device_available": bool,
    "overlayfs_rootfs_available": bool,
    "fuse_overlayfs_rootfs_available": bool,
    "effective_mode": str,
}
PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DIFFERS_BY_TIME = {"date", "content-length"}


def is_pretty(body):
    """Two blanks a level, one final newline."""
    document = json.loads(body)
    return body.decode() == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class Shapes(DaemonCase):
    def assert_members(self, document, types):
        self.assertEqual(set(document), set(types))
        for name, kind in types.items():
            self.assertIsInstance(document[name], kind, name)

    def test_capabilities_has_the_nine_fields_and_their_types(self):
        document = self.daemon.capabilities()
        nine = {name: value for name, value in document.items() if name in FIELDS}
        self.assert_members(nine, FIELDS)
        self.assertIn(document["effective_mode"], MODES)
        self.assertEqual(document["is_nested"], document["cgroup_parent"] is not None)
        self.assertEqual(document["is_root"], is_root)

    def test_capabilities_has_the_assessment_and_the_decisions(self):
        document = self.daemon.capabilities()
        rest = {name: value for name, value in document.items() if name not in FIELDS}
        self.assert_members(
            rest,
            {
                "assessed_mode": str,
                "disagreements": list,
                "unmet_for_full": list,
                "overlay": dict,
                "rootfs": dict,
                "survey": dict,
            },
        )
        self.assertIn(document["assessed_mode"], MODES)
        for one in document["disagreements"]:
            self.assertEqual(set(one), {"field", "reference", "assessed", "why"})
        for one in document["unmet_for_full"]:
            self.assert_members(one, {"capability": str, "reason": str})
        self.assert_members(
            document["overlay"],
            {"network": str, "fallback_reason": OPTIONAL_TEXT, "rootless_possible": bool},
        )
        self.assertIn(document["overlay"]["network"], {"overlay", "rootless_overlay", "host"})
        self.assert_members(document["rootfs"], {"driver": str, "fusermount": OPTIONAL_TEXT})
        self.assertIn(document["rootfs"]["driver"], {"overlayfs", "fuse-overlayfs", "none"})

    def test_capabilities_says_which_survey_it_is(self):
        survey = self.daemon.capabilities()["survey"]
        self.assert_members(
            survey,
            {
                "generation": int,
                "surveyed_at": str,
                "duration_us": int,
                "interval_s": int,
                "stale": bool,
                "subject": str,
            },
        )
        self.assertRegex(survey["surveyed_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertGreaterEqual(survey["generation"], 1)
        self.assertEqual(survey["interval_s"], 30)
        self.assertFalse(survey["stale"])

    def test_unmet_for_full_is_empty_exactly_in_mode_full(self):
        document = self.daemon.capabilities()
        self.assertEqual(document["unmet_for_full"] == [], document["effective_mode"] == "full")

    def test_disagreements_are_empty_exactly_when_the_modes_are_equal(self):
        document = self.daemon.capabilities()
        equal = document["effective_mode"] == document["assessed_mode"]
        self.assertEqual(document["disagreements"] == [], equal)

    def test_the_compatible_route_has_the_seven_members_of_the_reference(self):
        document = self.daemon.request("GET", "/api/v1/daemon/capabilities").json()
        capabilities = self.daemon.capabilities()
        names = list(FIELDS)[:6]
        self.assertEqual(set(document), {"mode", *names})
        self.assertEqual(document["mode"], capabilities["effective_mode"])
        for name in names:
            self.assertEqual(document[name], capabilities[name], name)

    def test_post_survey_answers_like_get_capabilities(self):
        surveyed = self.daemon.request("POST", "/survey")
        self.assertEqual(surveyed.status, 200)
        self.assertEqual(surveyed.json(), self.daemon.capabilities())

    def test_cgroups_lists_containers_or_says_why_it_cannot(self):
        answer = self.daemon.request("GET", "/cgroups")
        if answer.status != 200:
            self.assertIn(answer.status, (501, 503))
            self.assert_problem(answer, answer.status)
            return
        document = answer.json()
        self.assertIsInstance(document["container_parent"], str)
        self.assertIsInstance(document["containers"], list)

    def test_health_and_readiness_are_200_after_the_first_survey(self):
        for path in ("/healthz", "/readyz"):
            with self.subTest(path):
                answer = self.daemon.request("GET", path)
                self.assertEqual(answer.status, 200)
                self.assertTrue(answer.json())

    def test_content_types_are_exact(self):
        for path, content_type in READS.items():
            with self.subTest(path):
                answer = self.daemon.request("GET", path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.header("Content-Type"), content_type)

    def test_json_is_pretty_printed_with_a_final_newline(self):
        # What is written by hand has its short objects on one line.
        paths = [path for path, kind in READS.items() if kind == JSON and path not in PAGE]
        for path in (*paths, "/cgroups", "/no-such-route"):
            with self.subTest(path):
                self.assertTrue(is_pretty(self.daemon.request("GET", path).body))


class Methods(DaemonCase):
    def test_head_is_get_without_the_body(self):
        for path in (*READS, "/cgroups", "/no-such-route"):
            with self.subTest(path), self.daemon.connect() as connection:
                get = connection.request("GET", path)
                head = connection.request("HEAD", path)
                # The connection is still in step: no body followed the head.
                self.assertEqual(connection.request("GET", "/healthz").status, 200)
                self.assertEqual(head.status, get.status)
                self.assertEqual(
                    [pair for pair in head.headers if pair[0].lower() not in DIFFERS_BY_TIME],
                    [pair for pair in get.headers if pair[0].lower() not in DIFFERS_BY_TIME],
                )
                if path != "/metrics":
                    self.assertEqual(head.header("Content-Length"), str(len(get.body)))

    def test_a_known_path_with_another_method_is_405_with_allow(self):
        for path, allowed in ALLOWED.items():
            for method in METHODS:
                if method in allowed.split(", "):
                    continue
                with self.subTest(f"{method} {path}"), self.daemon.connect() as connection:
                    answer = connection.request(method, path)
                    self.assertEqual(answer.status, 405)
                    self.assertEqual(answer.header("Allow"), allowed)
                    if method != "HEAD":
                        self.assert_problem(answer, 405)

    def test_an_unknown_path_is_404_with_any_method(self):
        paths = ("/nothing", "/capabilities/", "//capabilities", "/Capabilities", "/index.html")
        paths += ("/cgroups/containers", "/cgroups/", "/api/v1/daemon", "/survey/x", "/metrics/../")
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                with self.subTest(f"{method} {path}"):
                    self.assert_problem(self.daemon.request(method, path), 404)

    def test_an_unknown_method_is_501(self):
        for method in ("BREW", "get", "GETS"):
            with self.subTest(method):
                self.assert_problem(self.daemon.request(method, "/capabilities"), 501)


class Headers(DaemonCase):
    def test_every_answer_carries_the_protection_headers_and_no_cors(self):
        requests = [("GET", path) for path in (*READS, "/cgroups", "/nothing")]
        requests += [("POST", "/"), ("POST", "/survey"), ("OPTIONS", "/survey"), ("BREW", "/")]
        for method, path in requests:
            with self.subTest(f"{method} {path}"):
                answer = self.daemon.request(method, path)
                for name, value in PROTECTION.items():
                    self.assertEqual(answer.header(name), value)
                names = [name.lower() for name, _ in answer.headers]
                self.assertFalse([name for name in names if name.startswith("access-control-")])

    def test_early_refusals_carry_the_protection_headers(self):
        for data in (b"nonsense\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET /" + b"a" * 9000):
            with self.subTest(data[:20]), self.daemon.connect() as connection:
                connection.send(data)
                answer = connection.receive()
                for name, value in PROTECTION.items():
                    self.assertEqual(answer.header(name), value)

    def test_the_page_carries_a_content_security_policy(self):
        for path in PAGE:
            with self.subTest(path):
                policy = self.daemon.request("GET", path).header("Content-Security-Policy")
                directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
                self.assertEqual(directives.pop("default-src"), "'none'")
                self.assertEqual(directives.pop("frame-ancestors"), "'none'")
                self.assertLessEqual(set(directives.values()), {"'self'", "'none'"})

    def test_the_page_loads_nothing_from_elsewhere(self):
        for path in PAGE:
            with self.subTest(path):
                body = self.daemon.request("GET", path).body.decode()
                foreign = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", body)
                self.assertFalse(foreign)

    def test_every_answer_has_a_date(self):
        date = self.daemon.request("GET", "/nothing").header("Date")
        self.assertRegex(date, r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")


class Caching(DaemonCase):
    arguments = ("--interval", "3600")

    def test_a_known_version_is_304_without_a_body(self):
        for path in CACHED:
            with self.subTest(path), self.daemon.connect() as connection:
                tag = connection.request("GET", path).header("ETag")
                self.assertRegex(tag, r'^(W/)?"[^"]+"$')
                for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
                    for method in ("GET", "HEAD"):
                        answer = connection.request(method, path, {"If-None-Match": known})
                        self.assertEqual((answer.status, known), (304, known))
                        self.assertEqual(answer.header("ETag"), tag)

    def test_another_version_is_sent_whole(self):
        for path in CACHED:
            with self.subTest(path):
                answer = self.daemon.request("GET", path, {"If-None-Match": '"other"'})
                self.assertEqual(answer.status, 200)
                self.assertTrue(answer.body)

    def test_a_304_of_the_page_repeats_its_policy(self):
        tag = self.daemon.request("GET", "/").header("ETag")
        answer = self.daemon.request("GET", "/", {"If-None-Match": tag})
        self.assertIn("frame-ancestors 'none'", answer.header("Content-Security-Policy"))

    def test_a_new_survey_has_a_new_tag(self):
        tag = self.daemon.request("GET", "/capabilities").header("ETag")
        self.assertEqual(self.daemon.request("POST", "/survey").status, 200)
        answer = self.daemon.request("GET", "/capabilities", {"If-None-Match": tag})
        self.assertEqual(answer.status, 200)


class Protocol(DaemonCase):
    listen = ("127.0.0.1:0", "[::1]:0")

    def test_a_connection_serves_many_requests(self):
        with self.daemon.connect() as connection:
            for path in [*READS, "/nothing"] * 3:
                answer = connection.request("GET", path)
                self.assertEqual(answer.status, 404 if path == "/nothing" else 200)
                self.assertFalse(answer.closes)

    def test_pipelined_requests_are_answered_in_order(self):
        expected = [
            ("GET", "/healthz", 200),
            ("HEAD", "/capabilities", 200),
            ("GET", "/nothing", 404),
            ("PUT", "/survey", 405),
            ("GET", "/cgroups", None),
            ("GET", "/app.js", 200),
            ("GET", "/healthz", 200),
        ] * 5
        with self.daemon.connect() as connection:
            connection.send(
                b"".join(connection.request_bytes(method, path) for method, path, _ in expected)
            )
            for method, path, status in expected:
                answer = connection.receive(method)
                self.assertIn(answer.status, {status} if status else {200, 501, 503}, path)

    def test_a_request_cut_in_two_anywhere_is_put_together(self):
        with Connection(self.socket_path) as connection:
            data = connection.request_bytes("GET", "/healthz", {"X-A": "b"}, body=b"{}")
            for cut in range(1, len(data)):
                with self.subTest(data[:cut]):
                    connection.send(data[:cut])
                    connection.wait_until_read()
                    connection.send(data[cut:])
                    self.assertEqual(connection.receive().status, 200)

    def test_connection_close_is_obeyed_and_said(self):
        with self.daemon.connect() as connection:
            answer = connection.request("GET", "/healthz", {"Connection": "close"})
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.closes)
            self.assertEqual(connection.rest(), b"")
            self.assertFalse(connection.was_reset)

    def test_http_1_0_closes(self):
        with self.daemon.connect() as connection:
            connection.send_request("GET", "/healthz", version="1.0")
            self.assertEqual(connection.receive().status, 200)
            self.assertEqual(connection.rest(), b"")

    def test_http_1_0_keeps_the_connection_when_asked(self):
        with self.daemon.connect() as connection:
            for _ in range(3):
                keep = {"Connection": "keep-alive"}
                connection.send_request("GET", "/healthz", keep, version="1.0")
                answer = connection.receive()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.header("Connection").lower(), "keep-alive")

    def test_an_absolute_target_of_our_own_is_taken(self):
        for address in self.daemon.addresses:
            with self.subTest(address[0]), self.daemon.connect(address) as connection:
                answer = connection.request("GET", f"http://{connection.host}/healthz")
                self.assertEqual(answer.status, 200)

    def test_an_absolute_target_of_somebody_else_is_421(self):
        for authority in ("evil.example", f"evil.example:{self.daemon.port}", "127.0.0.1:1"):
            with self.subTest(authority):
                answer = self.daemon.request("GET", f"http://{authority}/healthz")
                self.assert_problem(answer, 421)

    def test_other_forms_of_a_target_are_400(self):
        for method, target in (
            ("GET", "*"),
            ("GET", "healthz"),
            ("GET", "https://127.0.0.1/healthz"),
            ("GET", "http:///healthz"),
            ("GET", "?x"),
        ):
            with self.subTest(f"{method} {target}"):
                self.assert_problem(self.daemon.request(method, target), 400)

    def test_legal_forms_of_methods_that_nothing_takes_are_405(self):
        for method, target in (("OPTIONS", "*"), ("CONNECT", f"127.0.0.1:{self.daemon.port}")):
            with self.subTest(f"{method} {target}"):
                answer = self.daemon.request(method, target)
                self.assert_problem(answer, 405)
                self.assertEqual(answer.header("Allow"), "GET, HEAD")

    def test_another_version_is_505(self):
        for version in ("0.9", "1.2", "2.0", "3.0"):
            with self.subTest(version), self.daemon.connect() as connection:
                connection.send_request("GET", "/healthz", version=version)
                self.assert_problem(connection.receive(), 505)

    def test_a_body_of_a_get_does_not_become_the_next_request(self):
        smuggled = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.daemon.connect() as connection:
            connection.send_request("GET", "/healthz", body=smuggled)
            connection.send_request("GET", "/healthz", {"Connection": "close"})
            statuses = re.findall(rb"^HTTP/1\.1 (\d+)", connection.rest(), re.MULTILINE)
        self.assertNotIn(b"404", statuses)
        self.assertEqual(statuses[0], b"200")


class Bodies(DaemonCase):
    def chunked(self, *chunks, headers=(), path="/survey", trailers=b""):
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        with self.daemon.connect() as connection:
            connection.send_request("POST", path, [("Transfer-Encoding", "chunked"), *headers])
            connection.send(body + b"0\r\n" + trailers + b"\r\n")
            answer = connection.receive()
            self.assertFalse(answer.closes)
            self.assertEqual(connection.request("GET", "/healthz").status, 200)
            return answer

    def test_a_chunked_body_is_read(self):
        for chunks in ((), (b"{}",), (b"{", b" ", b"}"), (b" " * 16000,)):
            with self.subTest(chunks=chunks):
                self.assertEqual(self.chunked(*chunks).status, 200)

    def test_a_chunked_body_is_judged_like_any_other(self):
        answer = self.chunked(b'{"colour"', b': "red"}')
        self.assertIn("colour", self.assert_problem(answer, 400)["detail"])

    def test_chunk_extensions_are_ignored(self):
        with self.daemon.connect() as connection:
            connection.send_request("POST", "/survey", {"Transfer-Encoding": "chunked"})
            connection.send(b'2;a=b;c="d"\r\n{}\r\n0;x\r\n\r\n')
            self.assertEqual(connection.receive().status, 200)

    def test_trailers_decide_nothing(self):
        trailers = b"Content-Type: text/plain\r\nOrigin: http://evil.example\r\nX-A: b\r\n"
        self.assertEqual(self.chunked(b"{}", trailers=trailers).status, 200)

    def test_100_continue_is_sent_once_the_head_is_accepted(self):
        with self.daemon.connect() as connection:
            head = [("Expect", "100-continue"), ("Content-Length", "2")]
            connection.send_request("POST", "/survey", head)
            self.assertEqual(connection.receive().status, 100)
            connection.send(b"{}")
            self.assertEqual(connection.receive().status, 200)

    def test_a_refused_head_gets_its_answer_in_place_of_100_continue(self):
        refused = {
            403: [("Origin", "http://evil.example")],
            415: [("Content-Type", "text/plain")],
            413: [("Content-Length", "1000000")],
            421: [("Host", "evil.example")],
        }
        for status, extra in refused.items():
            with self.subTest(status), self.daemon.connect() as connection:
                headers = [("Expect", "100-continue"), *extra]
                if status != 413:
                    headers.append(("Content-Length", "2"))
                connection.send_request("POST", "/survey", headers)
                answer = connection.receive()
                self.assertEqual(answer.status, status)
                self.assertTrue(answer.closes)

    def test_another_expectation_is_417(self):
        with self.daemon.connect() as connection:
            head = [("Expect", "a-miracle"), ("Content-Length", "2")]
            connection.send_request("POST", "/survey", head)
            self.assert_problem(connection.receive(), 417)

    def test_a_blank_or_empty_object_counts_as_no_body(self):
        for body in (None, b"", b" \r\n\t", b"{}", b" { } \n"):
            with self.subTest(body=body):
                self.assertEqual(self.daemon.request("POST", "/survey", body=body).status, 200)


class UnixSocket(DaemonCase):
    def test_the_unix_socket_serves_the_same_routes(self):
        for path, content_type in READS.items():
            with self.subTest(path):
                answer = self.daemon.request("GET", path, address=self.socket_path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.header("Content-Type"), content_type)

    def test_the_socket_file_goes_with_the_daemon(self):
        path = self.socket_path + ".other"
        with Daemon(unix_socket=path) as other:
            self.assertEqual(other.request("GET", "/healthz", address=path).status, 200)
        self.assertFalse(Path(path).exists())

    def test_the_socket_file_of_the_next_one_stays(self):
        path = self.socket_path + ".next"
        with Daemon(unix_socket=path) as first:
            with Connection(path) as slow:
                slow.send(b"GET /healthz HTTP/1.1\r\n")
                self.assertEqual(first.request("GET", "/healthz").status, 200)  # it has been read
                first.signal(signal.SIGTERM)
                eventually(lambda: not Path(path).exists(), "the path is free")
                with Daemon(unix_socket=path) as second:
                    slow.send(b"Host: x\r\n\r\n")
                    self.assertEqual(slow.receive().status, 200)
                    self.assertEqual(first.process.wait(DEADLINE), 0)
                    self.assertEqual(second.request("GET", "/healthz", address=path).status, 200)

    def test_a_left_over_socket_file_is_taken_over(self):
        path = self.socket_path + ".left"
        with Daemon(unix_socket=path) as first:
            first.process.kill()
            first.process.wait()
        self.assertTrue(Path(path).exists())
        with Daemon(unix_socket=path) as second, Connection(path) as connection:
            self.assertEqual(connection.request("GET", "/healthz").status, 200)
            self.assertTrue(second.listeners)


if __name__ == "__main__":
    unittest.main()
