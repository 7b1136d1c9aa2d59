"""Remote listeners that speak TLS, with clients of OpenSSL by way of Python."""

import contextlib
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, program, run  # noqa: E402
from wire import Connection  # noqa: E402


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, directory, name):
        self.directory = Path(directory, name)
        self.directory.mkdir()
        self.certificate, self.key = self.make("ca", "-x509", "-addext", "basicConstraints=CA:TRUE")

    def make(self, name, *how):
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        words = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        words += ["-subj", f"/CN={name}", "-days", "2", "-out", certificate, "-keyout", key, *how]
        openssl(*words)
        return certificate, key

    def sign(self, name):
        request, key = self.make(name)
        certificate = self.directory / f"{name}.crt"
        words = ["x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key]
        openssl(*words, "-days", "2", "-out", certificate)
        return certificate, key


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class TlsConnection(Connection):
    """The same over TLS."""

    def __init__(self, address, context):
        super().__init__(address)
        try:
            self.socket = context.wrap_socket(self.socket)
        except BaseException:
            self.socket.close()
            raise


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program("openssl")
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.authority = Authority(cls.directory, "authority")
        cls.stranger = Authority(cls.directory, "stranger")
        cls.certificate, cls.key = cls.authority.sign("server")

    def start(self, *arguments, certificate=None, key=None):
        words = ["--listen-remote", "127.0.0.2:0", "--tls-cert", certificate or self.certificate]
        words += ["--tls-key", key or self.key, *arguments]
        daemon = self.enterContext(Daemon(*map(str, words)))
        self.remote = daemon.addresses[1]
        return daemon

    def context(self, own=None, trusted=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(trusted or self.authority.certificate)
        if own:
            context.load_cert_chain(*own)
        return context

    def request(self, method="GET", target="/capabilities", **how):
        with TlsConnection(self.remote, self.context(**how)) as connection:
            return connection.request(method, target)


class Encrypted(Case):
    def test_reads_are_served(self):
        daemon = self.start()
        self.assertTrue(daemon.listeners[1].startswith("https://127.0.0.2:"), daemon.listeners)
        for target in ("/", "/capabilities", "/findings", "/metrics"):
            self.assertEqual(self.request(target=target).status, 200)
        self.assertEqual(daemon.request("GET", "/capabilities").status, 200)  # loopback, in clear
        self.assertFalse([line for line in daemon.log if "not encrypted" in line])

    def test_many_requests_of_one_connection_are_answered_in_order(self):
        self.start()
        with TlsConnection(self.remote, self.context()) as connection:
            one = connection.request_bytes("GET", "/healthz")
            connection.send(one * 50 + connection.request_bytes("GET", "/no-such"))
            statuses = [connection.receive().status for _ in range(51)]
            self.assertEqual(statuses, [200] * 50 + [404])

    def test_it_ends_with_a_close_notify(self):
        self.start()
        with TlsConnection(self.remote, self.context()) as connection:
            connection.send(connection.request_bytes("GET", "/healthz", {"Connection": "close"}))
            self.assertEqual(connection.receive().status, 200)
            # Without it, this would be an error: who cut the connection?
            self.assertEqual(connection.rest(), b"")

    def test_changes_are_refused(self):
        self.start()
        self.assertEqual(self.request("POST", "/survey").status, 403)

    def test_only_tls_1_2_and_1_3_are_spoken(self):
        self.start()
        for version, spoken in (("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
            with self.subTest(version), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context = self.context()
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
                if spoken:
                    with TlsConnection(self.remote, context) as connection:
                        self.assertEqual(connection.socket.version(), version.replace("_", "."))
                else:
                    with self.assertRaises((ssl.SSLError, ConnectionError)):
                        TlsConnection(self.remote, context).close()

    def test_what_is_not_tls_is_closed_and_counted(self):
        daemon = self.start()
        with Connection(self.remote) as connection:
            connection.send_request("GET", "/capabilities")
            with contextlib.suppress(ConnectionResetError):
                self.assertNotIn(b"HTTP/1.1 200", connection.rest())
        reason = {"reason": "tls_handshake"}
        daemon.eventually(
            lambda: daemon.metrics().value("surveyd_http_rejected_total", **reason) == 1, "counted"
        )

    def test_a_handshake_has_a_deadline(self):
        self.start("--head-deadline", "1")
        with Connection(self.remote) as connection:
            self.assertEqual(connection.rest(), b"")

    def test_who_has_not_begun_one_holds_the_end_up_no_longer_than_a_new_connection(self):
        daemon = self.start()
        with Connection(self.remote), Connection(self.remote) as served:
            served.send(b"no TLS\r\n")
            served.rest()  # accepted in order, so the first one is as well
            daemon.stop(3)  # the deadline of open requests is 4 s

    def test_a_slow_head_is_answered_408(self):
        self.start("--head-deadline", "1")
        with TlsConnection(self.remote, self.context()) as connection:
            connection.send(b"GET /")
            self.assertEqual(connection.receive().status, 408)

    def test_who_is_one_too_many_is_closed_without_a_word(self):
        daemon = self.start("--max-connections", "8", "--unix-connections", "7")
        with Connection(daemon.address) as only:
            self.assertEqual(only.request("GET", "/healthz").status, 200)
            with Connection(self.remote) as surplus:
                self.assertEqual(surplus.rest(), b"")
                self.assertFalse(surplus.was_reset)


class Clients(Case):
    def start(self, *arguments):
        return super().start("--tls-client-ca", self.authority.certificate, *arguments)

    def assert_unknown(self, **how):
        # With TLS 1.3 the client only learns it when it reads.
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            self.request(**how)

    def test_those_with_a_certificate_of_the_authority_are_served(self):
        self.start()
        self.assertEqual(self.request(own=self.authority.sign("client")).status, 200)

    def test_others_are_not(self):
        self.start()
        self.assert_unknown()
        self.assert_unknown(own=self.stranger.sign("client"))

    def test_they_are_known_where_only_owners_read(self):
        self.start("--read-access", "owner")
        self.assertEqual(self.request(own=self.authority.sign("client")).status, 200)


class Files(Case):
    def assert_wrong(self, text, *arguments):
        ended = run("serve", "--listen", "none", "--unix-socket", "none", *map(str, arguments))
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertIn(text, ended.stderr)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)

    def test_what_is_wrong_with_them_is_one_line(self):
        none = Path(self.directory, "none")
        other = self.stranger.sign("other")[1]
        self.assert_wrong("none", "--tls-cert", none, "--tls-key", self.key)
        self.assert_wrong("none", "--tls-cert", self.certificate, "--tls-key", none)
        self.assert_wrong("mismatch", "--tls-cert", self.certificate, "--tls-key", other)
        self.assert_wrong("go together", "--tls-cert", self.certificate)
        self.assert_wrong("needs --tls-cert", "--tls-client-ca", self.certificate)

    def test_without_a_remote_listener_they_are_for_nobody(self):
        certificate = ("--tls-cert", self.certificate, "--tls-key", self.key)
        self.assert_wrong("--listen-remote", *certificate)
        authorities = ("--tls-client-ca", self.authority.certificate)
        self.assert_wrong("--tls-cert is for remote", *certificate, *authorities)
        self.assert_wrong("--allow-host is for remote", "--allow-host", "node1.example")

    def test_sighup_reads_them_again(self):
        certificate, key = Path(self.directory, "live.crt"), Path(self.directory, "live.key")
        certificate.write_bytes(self.certificate.read_bytes())
        key.write_bytes(self.key.read_bytes())
        daemon = self.start(certificate=certificate, key=key)

        def serial():
            with TlsConnection(self.remote, self.context()) as connection:
                return connection.socket.getpeercert()["serialNumber"]

        before = serial()
        with TlsConnection(self.remote, self.context()) as open_already:
            new = self.authority.sign("new")
            certificate.write_bytes(new[0].read_bytes())
            key.write_bytes(new[1].read_bytes())
            daemon.signal(signal.SIGHUP)
            daemon.eventually(lambda: serial() != before, "the new certificate")
            self.assertEqual(open_already.request("GET", "/healthz").status, 200)
            after = serial()
            key.write_text("no key", encoding="ascii")
            daemon.signal(signal.SIGHUP)
            daemon.wait_for_log("what was read before still holds")
            self.assertEqual(serial(), after)


if __name__ == "__main__":
    unittest.main()
