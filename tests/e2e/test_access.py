"""Who may read, who may change, and what a request must not carry."""

import contextlib
import functools
import grp
import itertools
import os
import socket
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import WITHOUT_CGROUPS  # noqa: E402
from daemon import Daemon, DaemonCase, needs_root, program, public_binary  # noqa: E402
from users import STRANGER, become_root_of_own_namespace, call  # noqa: E402
from wire import Connection  # noqa: E402

CHANGES = (("POST", "/survey"), ("POST", "/cgroups/ensure"), ("DELETE", "/cgroups/containers/a"))
READS = ("/", "/capabilities", "/cgroups", "/metrics", "/healthz")


def listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def group_id(name):
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


class AccessCase(DaemonCase):
    listen = ("127.0.0.1:0", "[::1]:0")
    arguments = ("--interval", "3600")

    @classmethod
    def make_daemon(cls):
        return Daemon(
            *cls.arguments,
            listen=cls.listen,
            unix_socket=cls.socket_path,
            prefix=WITHOUT_CGROUPS,
        )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Strangers may try the Unix socket as well; what stops them then is the daemon.
        os.chmod(cls.directory, 0o755)
        cls.socket_mode = stat.S_IMODE(os.stat(cls.socket_path).st_mode)
        os.chmod(cls.socket_path, 0o666)

    @property
    def everywhere(self):
        return (*self.daemon.addresses, self.socket_path)

    def change(self, method, path, headers=(), address=None):
        return self.daemon.request(method, path, headers, address=address)

    def assert_allowed(self, answer):
        """Carried out, or failed for want of cgroups: either way the caller was let through."""
        self.assertIn(answer.status, (200, 501), answer.body)

    def assert_no_survey(self, before):
        self.assertEqual(self.daemon.generation(), before)


class Hosts(AccessCase):
    def allowed(self):
        for address in self.daemon.addresses:
            for name in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST", "LocalHost"):
                yield address, f"{name}:{address[1]}"

    def forbidden(self):
        for address in self.daemon.addresses:
            port = address[1]
            for host in (
                "evil.example",
                f"evil.example:{port}",
                "localhost",
                "127.0.0.1",
                "localhost:80",
                "127.0.0.1:1",
                f"localhost.:{port}",
                f"foo.localhost:{port}",
                f"127.1:{port}",
                f"2130706433:{port}",
                f"0.0.0.0:{port}",
                f"[::]:{port}",
                f"::1:{port}",
                f"[::ffff:127.0.0.1]:{port}",
                f"user@localhost:{port}",
                f"localhost:{port},localhost:{port}",
                f"localhost:{port}/",
                f"localhost:0{port}",
                "",
            ):
                yield address, host

    def test_each_own_name_with_the_port_is_taken(self):
        for address, host in self.allowed():
            with self.subTest(f"{host} at {address[0]}"):
                answer = self.change("GET", "/healthz", {"Host": host}, address)
                self.assertEqual(answer.status, 200)

    def test_any_other_name_is_421_even_for_reads(self):
        for address, host in self.forbidden():
            for method, path in (("GET", "/capabilities"), ("POST", "/survey")):
                with self.subTest(f"{method} with {host!r} at {address[0]}"):
                    answer = self.change(method, path, {"Host": host}, address)
                    self.assert_problem(answer, 421, "wrong-host")

    def test_an_absolute_target_does_not_replace_a_wrong_host(self):
        with self.daemon.connect() as connection:
            target = f"http://{connection.host}/healthz"
            answer = connection.request("GET", target, {"Host": "evil.example"})
        self.assertEqual(answer.status, 421)

    def test_http_1_0_needs_a_host_too(self):
        with self.daemon.connect() as connection:
            connection.send(b"GET /capabilities HTTP/1.0\r\n\r\n")
            self.assertEqual(connection.receive().status, 421)

    def test_any_host_is_taken_over_the_unix_socket(self):
        for host in ("localhost", "evil.example", "surveyd", ""):
            with self.subTest(host):
                answer = self.change("GET", "/healthz", {"Host": host}, self.socket_path)
                self.assertEqual(answer.status, 200)


class Borrowed(AccessCase):
    BROWSER = {
        "Origin": ("http://evil.example", "null", "http://localhost:3000", "http://@"),
        "Referer": ("http://evil.example/x",),
        "Cookie": ("a=b",),
        "Sec-Fetch-Site": ("none", "same-origin", "cross-site"),
        "Sec-Fetch-Mode": ("no-cors",),
        "sec-fetch-anything": ("x",),
        "Access-Control-Request-Method": ("POST",),
        "Access-Control-Request-Private-Network": ("true",),
    }
    PROXY = {
        "Forwarded": ("for=10.0.0.9",),
        "X-Forwarded-For": ("10.0.0.9",),
        "x-forwarded-proto": ("https",),
        "X-Real-IP": ("10.0.0.9",),
        "Via": ("1.1 proxy",),
    }

    def assert_refused(self, table, name):
        marks = [(header, value) for header, values in table.items() for value in values]
        for address in self.everywhere:
            for (header, value), (method, path) in itertools.product(marks, CHANGES):
                with self.subTest(f"{method} {path} with {header}: {value}", address=address):
                    headers = {header: value.replace("@", f"127.0.0.1:{self.daemon.port}")}
                    answer = self.change(method, path, headers, address)
                    detail = self.assert_problem(answer, 403, name)["detail"]
                    self.assertIn(header.lower(), detail.lower())
                    self.assertIn(self.socket_path, detail)

    def setUp(self):
        self.before = self.daemon.generation()

    def tearDown(self):
        self.assert_no_survey(self.before)

    def test_the_marks_of_a_browser_are_403(self):
        self.assert_refused(self.BROWSER, "browser")

    def test_the_marks_of_a_proxy_are_403(self):
        self.assert_refused(self.PROXY, "proxy")

    def test_a_mark_without_a_value_counts_too(self):
        for name in ("Origin", "Cookie", "Via"):
            with self.subTest(name):
                self.assertEqual(self.change("POST", "/survey", {name: ""}).status, 403)

    def test_a_content_type_other_than_json_is_415_with_a_word_on_curl(self):
        for kind in (
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain",
            "text/json",
            "application/jsonp",
            "application/json-patch+json",
            "",
        ):
            for method, path in CHANGES:
                with self.subTest(f"{method} {path} of {kind}"):
                    answer = self.change(method, path, {"Content-Type": kind})
                    self.assertIn("--json", self.assert_problem(answer, 415)["detail"])

    def test_two_content_types_are_refused(self):
        headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
        self.assertIn(self.change("POST", "/survey", headers).status, (400, 415))

    def test_reads_may_carry_them_all(self):
        marks = {**self.BROWSER, **self.PROXY}
        headers = {name: values[0] for name, values in marks.items()}
        for path in READS:
            with self.subTest(path):
                answer = self.change("GET", path, {**headers, "Content-Type": "text/plain"})
                self.assertNotIn(answer.status, (403, 415, 421))


@needs_root
class Root(AccessCase):
    def test_root_may_change_over_both_loopback_addresses_and_the_unix_socket(self):
        for address, (method, path) in itertools.product(self.everywhere, CHANGES):
            with self.subTest(f"{method} {path}", address=address):
                self.assert_allowed(self.change(method, path, address=address))

    def test_the_usual_headers_of_clients_do_no_harm(self):
        headers = {
            "User-Agent": "curl/7.88.1",
            "Accept": "*/*",
            "Content-Type": "Application/JSON ; charset=utf-8",
            "X-Request-Id": "1",
        }
        for method, path in CHANGES:
            with self.subTest(f"{method} {path}"):
                self.assert_allowed(self.change(method, path, headers))

    def test_the_documented_calls_of_curl_work(self):
        curl = program("curl")
        for arguments in (
            ("-X", "POST", f"localhost:{self.daemon.port}/survey"),
            ("--json", "{}", f"http://127.0.0.1:{self.daemon.port}/survey"),
            ("--unix-socket", self.socket_path, "-X", "POST", "http://localhost/survey"),
        ):
            with self.subTest(arguments):
                ended = subprocess.run(
                    [curl, "-sS", "--noproxy", "*", "-w", "%{http_code}", *arguments],
                    capture_output=True,
                    text=True,
                    timeout=20,
                )
                self.assertEqual(ended.stdout[-3:], "200", ended)

    def test_every_decision_leaves_an_audit_line(self):
        seen = len(self.daemon.audit())
        self.change("POST", "/survey", address=self.socket_path)
        line = self.daemon.eventually(lambda: self.daemon.audit()[seen:], "an audit line")[0]
        for part in ("allowed", "uid=0", "transport=unix", "POST /survey"):
            self.assertIn(part, line)

    def test_a_half_closed_caller_may_still_read(self):
        for address in self.everywhere:
            with self.subTest(address=address), Connection(address) as connection:
                connection.send_request("GET", "/healthz")
                connection.finish_sending()
                self.assertEqual(connection.receive().status, 200)


@needs_root
class Strangers(AccessCase):
    def as_stranger(self, method, path, address, **how):
        return call(lambda: self.daemon.request(method, path, address=address), STRANGER, **how)

    def assert_refused(self, **how):
        before = self.daemon.generation()
        for address, (method, path) in itertools.product(self.everywhere, CHANGES):
            with self.subTest(f"{method} {path}", address=address):
                answer = self.as_stranger(method, path, address, **how)
                detail = self.assert_problem(answer, 403, "forbidden")["detail"]
                if address != self.socket_path:
                    self.assertIn(self.socket_path, detail)
        self.assert_no_survey(before)

    def test_another_user_may_read(self):
        for address, path in itertools.product(self.everywhere, READS):
            with self.subTest(path, address=address):
                self.assertIn(self.as_stranger("GET", path, address).status, (200, 501))

    def test_another_user_may_not_change_anything(self):
        self.assert_refused()

    def test_the_groups_of_another_user_do_not_help(self):
        self.assert_refused(groups=(0, 27, 999))

    def test_root_of_a_user_namespace_is_another_user(self):
        self.assert_refused(prepare=become_root_of_own_namespace)

    def test_the_overflow_user_is_refused_as_one_without_a_mapping(self):
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
        for address in self.everywhere:
            with self.subTest(address=address):
                survey = functools.partial(self.change, "POST", "/survey", address=address)
                answer = call(survey, overflow)
                self.assertIn("mapping", self.assert_problem(answer, 403)["detail"])

    def test_setpriv_and_curl_are_refused_too(self):
        command = [program("setpriv"), "--reuid", str(STRANGER), "--regid", str(STRANGER)]
        command += ["--clear-groups", program("curl"), "-sS", "--noproxy", "*", "-X", "POST"]
        url = f"http://127.0.0.1:{self.daemon.port}/survey"
        for arguments in ((url,), ("--unix-socket", self.socket_path, "http://localhost/survey")):
            with self.subTest(arguments):
                ended = subprocess.run(
                    [*command, *arguments], capture_output=True, text=True, timeout=20
                )
                self.assertIn('"status": 403', ended.stdout, ended)

    def test_a_refusal_is_audited_with_the_user(self):
        seen = len(self.daemon.audit())
        self.as_stranger("POST", "/survey", self.daemon.address)
        line = self.daemon.eventually(lambda: self.daemon.audit()[seen:], "an audit line")[0]
        self.assertIn("refused", line)
        self.assertIn(f"uid={STRANGER}", line)

    def test_a_refused_caller_learns_nothing_about_its_body(self):
        wrong = functools.partial(self.daemon.request, "POST", "/cgroups/ensure", body=b'{"a": 1}')
        self.assertEqual(call(wrong, STRANGER).status, 403)

    def test_a_stranger_with_a_socket_that_root_opened_is_root(self):
        """What the documentation has to say: a forwarder of root lends its uid."""
        with self.daemon.connect() as connection:
            answer = call(lambda: connection.request("POST", "/survey").status, STRANGER)
        self.assertEqual(answer, 200)


@needs_root
class Vanishing(AccessCase):
    """A closed socket is reported as uid 0 with inode 0, a reset one may be looked up as another:
    who does not stay is nobody."""

    def send(self, address):
        connection = self.daemon.connect(address)
        connection.send_request("POST", "/survey")
        return connection

    def settle(self):
        """Until the daemon has dealt with every connection that was made before."""

        def is_alone():
            return self.daemon.metrics().value("surveyd_http_connections") == 1

        self.daemon.eventually(is_alone, "every other connection has ended")

    def assert_never_surveyed(self, attack, tries):
        """`attack(address)` is what a stranger does, `tries` times at each listener."""
        for address in self.everywhere:
            with self.subTest(address=address):
                before = self.daemon.generation()
                call(lambda: [attack(address) for _ in range(tries)] and None, STRANGER)
                self.settle()
                self.assert_no_survey(before)

    def test_a_stranger_that_closes_at_once_never_gets_a_survey(self):
        self.assert_never_surveyed(lambda address: self.send(address).close(), 300)

    def test_a_stranger_that_resets_at_once_never_gets_a_survey(self):
        self.assert_never_surveyed(lambda address: self.send(address).reset(), 300)

    def test_a_stranger_that_half_closes_never_gets_a_survey(self):
        def half_close(address):
            with self.send(address) as connection:
                connection.finish_sending()
                status = connection.receive().status
                assert status == 403, status

        self.assert_never_surveyed(half_close, 30)

    def test_a_stranger_that_asks_twenty_times_and_closes_never_gets_a_survey(self):
        def pipeline(address):
            with self.daemon.connect(address) as connection:
                connection.send(connection.request_bytes("POST", "/survey") * 20)

        self.assert_never_surveyed(pipeline, 50)

    def test_a_stranger_that_exits_at_once_never_gets_a_survey(self):
        for address in self.everywhere:
            with self.subTest(address=address):
                before = self.daemon.generation()
                for _ in range(30):
                    call(lambda address=address: (self.send(address), os._exit(0)), STRANGER)
                self.settle()
                self.assert_no_survey(before)

    def test_a_listener_of_root_on_the_old_port_does_not_help(self):
        for address in self.daemon.addresses:
            with self.subTest(address=address):
                before = self.daemon.generation()
                reset = functools.partial(self.reset_from_some_port, address)
                for _ in range(50):
                    port = call(reset, STRANGER)
                    with contextlib.suppress(OSError), listen(address[0], port):
                        self.daemon.generation()
                self.settle()
                self.assert_no_survey(before)

    def reset_from_some_port(self, address):
        connection = self.send(address)
        port = connection.socket.getsockname()[1]
        connection.reset()
        return port

    def test_root_that_stays_does_get_one(self):
        for address in self.everywhere:
            with self.subTest(address=address):
                before = self.daemon.generation()
                with self.send(address) as connection:
                    self.assertEqual(connection.receive().status, 200)
                self.assertGreater(self.daemon.generation(), before)


class Remote(AccessCase):
    """`--listen-remote`: reads only, whoever asks; any Host."""

    arguments = ("--interval", "3600", "--listen-remote", "0.0.0.0:0")

    @property
    def remote(self):
        return self.daemon.addresses[-1]

    def test_reads_are_served_under_any_name(self):
        for host in ("surveyd.example", "10.0.0.1:9847", "localhost"):
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {host}"):
                    answer = self.change(method, "/metrics", {"Host": host}, self.remote)
                    self.assertEqual(answer.status, 200)

    def test_changes_are_403_and_name_the_unix_socket(self):
        before = self.daemon.generation()
        for method, path in CHANGES:
            with self.subTest(f"{method} {path}"):
                answer = self.change(method, path, address=self.remote)
                detail = self.assert_problem(answer, 403)["detail"]
                self.assertIn(self.socket_path, detail)
        self.assert_no_survey(before)

    def test_its_connections_are_counted_apart(self):
        with self.daemon.connect(self.remote) as connection:
            connection.request("GET", "/healthz")
            metrics = self.daemon.metrics()
        self.assertEqual(metrics.values("surveyd_http_connections", listener="remote"), [1])

    def test_a_loopback_listener_beside_it_stays_strict(self):
        answer = self.change("GET", "/healthz", {"Host": "surveyd.example"})
        self.assertEqual(answer.status, 421)


class RemoteOnLoopback(AccessCase):
    """A page that a browser of this machine shows must not read it under a name of its own."""

    arguments = ("--listen-remote", "127.0.0.2:0", "--listen-remote", "[::1]:0")

    def assert_statuses(self, status, names):
        for address in self.daemon.addresses[1:]:
            for name in names:
                with self.subTest(f"{name} at {address[0]}"):
                    host = {"Host": name.replace("PORT", str(address[1]))}
                    answer = self.change("GET", "/capabilities", host, address)
                    self.assertEqual(answer.status, status)

    def test_its_own_names_with_the_port_are_taken(self):
        self.assert_statuses(200, ("127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT"))
        for address in self.daemon.addresses[1:]:
            self.assertEqual(self.change("GET", "/healthz", address=address).status, 200)

    def test_any_other_name_is_421(self):
        names = ("evil.example", "evil.example:PORT", "localhost", "127.0.0.3:PORT")
        self.assert_statuses(421, names)


class UnixSocket(AccessCase):
    def test_its_mode_is_0660(self):
        self.assertEqual(oct(self.socket_mode), oct(0o660))

    def test_its_owner_is_the_daemon(self):
        status = os.stat(self.socket_path)
        self.assertEqual(status.st_uid, os.geteuid())
        self.assertIn(status.st_gid, (os.getegid(), group_id("surveyd")))

    @needs_root
    def test_its_mode_keeps_strangers_out(self):
        path = self.socket_path + ".fresh"
        with Daemon(unix_socket=path):

            def connect():
                try:
                    Connection(path).close()
                except PermissionError:
                    return "refused"
                return "connected"

            self.assertEqual(call(connect, STRANGER), "refused")


@needs_root
class UnprivilegedDaemon(unittest.TestCase):
    """A daemon of an ordinary user obeys root and that user."""

    OWNER = 65532

    def setUp(self):
        prefix = [program("setpriv"), "--reuid", str(self.OWNER), "--regid", str(self.OWNER)]
        self.daemon = self.enterContext(
            Daemon(
                prefix=[*WITHOUT_CGROUPS, *prefix, "--clear-groups"],
                executable=public_binary(self.enterContext(tempfile.TemporaryDirectory())),
            )
        )

    def survey(self):
        return self.daemon.request("POST", "/survey").status

    def test_its_own_user_may_change(self):
        self.assertEqual(call(self.survey, self.OWNER), 200)

    def test_root_may_change(self):
        self.assertEqual(self.survey(), 200)

    def test_another_user_may_not(self):
        self.assertEqual(call(self.survey, STRANGER), 403)

    def test_it_says_that_it_is_not_root(self):
        document = self.daemon.capabilities()
        self.assertFalse(document["is_root"])
        self.assertFalse(document["has_cap_net_admin"])
        self.assertNotEqual(document["effective_mode"], "full")


if __name__ == "__main__":
    unittest.main()
