"""The settings that say who may change something, and who may read."""

import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import WITHOUT_CGROUPS  # noqa: E402
from daemon import Daemon, needs_root, run  # noqa: E402
from users import STRANGER, call  # noqa: E402
from wire import Connection  # noqa: E402

MEMBER = 65531
GROUP = 65530
OVERFLOW = 65534
TOKEN = "correct-horse-battery-staple"
ENSURE = ("POST", "/cgroups/ensure")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.directory, 0o755)
        self.socket = os.path.join(self.directory, "s")
        self.token_file = Path(self.directory, "token")

    def write_token(self, token=TOKEN, mode=0o600):
        self.token_file.write_text(f"{token}\n", encoding="ascii")
        self.token_file.chmod(mode)

    def start(self, *arguments, **how):
        daemon = self.enterContext(
            Daemon(*arguments, unix_socket=self.socket, prefix=WITHOUT_CGROUPS, **how)
        )
        os.chmod(self.socket, 0o666)  # strangers may connect: what stops them is the daemon
        return daemon

    def status(self, address, method, path, headers=(), **caller):
        def ask():
            with Connection(address) as connection:
                return connection.request(method, path, headers).status

        return call(ask, **caller)

    def assert_allowed(self, status):
        """Carried out, or failed for want of cgroups: either way the caller was let through."""
        self.assertIn(status, (200, 501))

    def assert_wrong(self, text, *arguments):
        ended = run("serve", "--listen", "127.0.0.1:0", "--unix-socket", "none", *arguments)
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertIn(text, ended.stderr)


@needs_root
class Off(Case):
    def test_nobody_changes_anything_over_tcp(self):
        daemon = self.start("--tcp-mutations", "off")
        self.assertEqual(self.status(daemon.address, *ENSURE), 403)
        self.assertEqual(self.status(daemon.address, *ENSURE, bearer(TOKEN)), 403)
        self.assertEqual(self.status(daemon.address, "GET", "/capabilities", uid=STRANGER), 200)
        self.assert_allowed(self.status(self.socket, *ENSURE))


@needs_root
class Token(Case):
    def setUp(self):
        super().setUp()
        self.write_token()
        self.daemon = self.start("--tcp-mutations", "token", "--token-file", str(self.token_file))

    def test_it_is_what_counts_over_tcp(self):
        address = self.daemon.address
        self.assert_allowed(self.status(address, *ENSURE, bearer(TOKEN), uid=STRANGER))
        self.assert_allowed(
            self.status(address, *ENSURE, {"Authorization": f"bearer {TOKEN}"}, uid=STRANGER)
        )
        self.assertEqual(self.status(address, *ENSURE), 403)

    def test_nothing_but_the_whole_token_counts(self):
        basic = {"Authorization": f"Basic {TOKEN}"}
        for headers in (
            bearer(TOKEN[:-1]),
            bearer(TOKEN + "x"),
            bearer(TOKEN.upper()),
            bearer(""),
            bearer("x" * len(TOKEN)),
            {"Authorization": TOKEN},
            basic,
        ):
            with self.subTest(headers):
                self.assertEqual(self.status(self.daemon.address, *ENSURE, headers), 403)
        twice = [*bearer(TOKEN).items(), *bearer(TOKEN).items()]
        self.assertEqual(self.status(self.daemon.address, *ENSURE, twice), 400)

    def test_it_makes_no_browser_welcome(self):
        headers = {**bearer(TOKEN), "Origin": "http://localhost"}
        self.assertEqual(self.status(self.daemon.address, *ENSURE, headers), 403)

    def test_it_is_not_needed_over_the_unix_socket(self):
        self.assert_allowed(self.status(self.socket, *ENSURE))
        self.assertEqual(self.status(self.socket, *ENSURE, bearer(TOKEN), uid=STRANGER), 403)

    def test_it_never_shows_in_the_log(self):
        self.status(self.daemon.address, *ENSURE, bearer(TOKEN))
        self.daemon.eventually(self.daemon.audit, "an audit line")
        self.assertNotIn(TOKEN, "\n".join(self.daemon.log))

    def test_sighup_reads_it_again(self):
        new = "another-token-of-some-length"
        self.write_token(new)
        self.daemon.signal(signal.SIGHUP)
        self.daemon.eventually(
            lambda: self.status(self.daemon.address, *ENSURE, bearer(new)) != 403, "the new one"
        )
        self.assertEqual(self.status(self.daemon.address, *ENSURE, bearer(TOKEN)), 403)
        self.write_token("third-token-that-others-can-read", 0o644)
        self.daemon.signal(signal.SIGHUP)
        self.daemon.wait_for_log("what was read before still holds")
        self.assert_allowed(self.status(self.daemon.address, *ENSURE, bearer(new)))


class TokenFile(Case):
    def assert_refused(self, text, path=None):
        path = str(path or self.token_file)
        self.assert_wrong(text, "--tcp-mutations", "token", "--token-file", path)

    def test_a_file_that_others_can_read_is_refused(self):
        self.write_token(mode=0o640)
        self.assert_refused("0600")

    def test_a_file_that_is_not_there_is_named(self):
        self.assert_refused(str(self.token_file))

    def test_a_short_token_is_refused(self):
        self.write_token("short")
        self.assert_refused("16 to 1024")

    def test_an_empty_file_is_refused(self):
        self.write_token("")
        self.assert_refused("16 to 1024")

    def test_a_token_with_blanks_is_refused(self):
        self.write_token("two words and more of them")
        self.assert_refused("visible characters")

    def test_a_directory_is_refused(self):
        self.assert_refused("regular file", self.directory)

    def test_a_pipe_is_not_waited_for(self):
        os.mkfifo(self.token_file, 0o600)
        self.assert_refused("regular file")

    @needs_root
    def test_a_file_of_somebody_else_is_refused(self):
        self.write_token()
        os.chown(self.token_file, STRANGER, STRANGER)
        self.assert_refused("belongs neither")

    def test_the_mode_and_the_file_go_together(self):
        self.assert_wrong("--token-file", "--tcp-mutations", "token")
        self.assert_wrong("--tcp-mutations", "--token-file", "/dev/null")


@needs_root
class AllowedUsers(Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start("--allow-uid", str(MEMBER), "--allow-gid", str(GROUP))

    def test_they_may_over_the_unix_socket_only(self):
        self.assert_allowed(self.status(self.socket, *ENSURE, uid=MEMBER))
        self.assertEqual(self.status(self.daemon.address, *ENSURE, uid=MEMBER), 403)
        self.assertEqual(self.status(self.socket, *ENSURE, uid=STRANGER), 403)

    def test_groups_count_as_primary_and_as_supplementary_ones(self):
        self.assert_allowed(self.status(self.socket, *ENSURE, uid=GROUP))  # with the gid of its uid
        self.assert_allowed(self.status(self.socket, *ENSURE, uid=STRANGER, groups=(1, GROUP)))
        many = tuple(range(1000, 1040))
        self.assert_allowed(self.status(self.socket, *ENSURE, uid=STRANGER, groups=(*many, GROUP)))
        self.assertEqual(self.status(self.socket, *ENSURE, uid=STRANGER, groups=many), 403)

    def test_the_ids_that_stand_for_anybody_are_never_allowed(self):
        self.assertEqual(self.status(self.socket, *ENSURE, uid=OVERFLOW), 403)
        self.assertEqual(self.status(self.socket, *ENSURE, uid=STRANGER, groups=(OVERFLOW,)), 403)


class AllowedNames(Case):
    def test_ids_that_stand_for_anybody_are_refused(self):
        for option, name in (("--allow-uid", "overflowuid"), ("--allow-gid", "overflowgid")):
            overflow = Path("/proc/sys/kernel", name).read_text(encoding="ascii").strip()
            for value in (overflow, f"{MEMBER},{overflow}", "4294967295"):
                with self.subTest(f"{option} {value}"):
                    self.assert_wrong(f"{option}: {value.split(',')[-1]} ", option, value)

    def test_unknown_names_are_named(self):
        self.assert_wrong("no-such-user", "--allow-uid", "no-such-user")
        self.assert_wrong("no-such-group", "--allow-gid", "no-such-group")

    @needs_root
    def test_names_of_accounts_are_taken(self):
        self.start("--allow-uid", "root", "--allow-gid", "root,daemon")


@needs_root
class OwnersRead(Case):
    READS = ("/", "/capabilities", "/findings", "/metrics", "/healthz", "/cgroups")

    def test_strangers_do_not(self):
        daemon = self.start("--read-access", "owner", "--allow-uid", str(MEMBER))
        for path in self.READS:
            with self.subTest(path):
                for address in (daemon.address, self.socket):
                    self.assertEqual(self.status(address, "GET", path, uid=STRANGER), 403)
                    self.assert_allowed(self.status(address, "GET", path))
                self.assertEqual(self.status(self.socket, "GET", "/findings", uid=MEMBER), 200)
        self.assertEqual(self.status(daemon.address, "GET", "/no-such", uid=STRANGER), 404)

    def test_with_the_token_anybody_does(self):
        self.write_token()
        daemon = self.start(
            *("--read-access", "owner", "--tcp-mutations", "token"),
            *("--token-file", str(self.token_file), "--listen-remote", "127.0.0.2:0"),
        )
        local, remote = daemon.addresses
        for address in (local, remote):
            with self.subTest(address):
                self.assertEqual(self.status(address, "GET", "/metrics"), 403)
                self.assertEqual(self.status(address, "GET", "/metrics", bearer(TOKEN)), 200)
        self.assertEqual(self.status(remote, *ENSURE, bearer(TOKEN)), 403)

    def test_nobody_does_over_a_remote_listener(self):
        daemon = self.start("--read-access", "owner", "--listen-remote", "127.0.0.2:0")
        self.assertEqual(self.status(daemon.addresses[1], "GET", "/metrics"), 403)


class RemoteHosts(Case):
    def test_only_the_allowed_ones_are_answered(self):
        daemon = self.start(
            "--listen-remote", "127.0.0.2:0", "--allow-host", "node1.example,node2.example"
        )
        local, remote = daemon.addresses
        port = remote[1]
        for host, status in (
            ("node1.example", 200),
            ("NODE2.example", 200),
            (f"node1.example:{port}", 200),
            ("node1.example:1", 421),
            (f"127.0.0.2:{port}", 200),  # a loopback address
            (f"127.0.0.3:{port}", 421),
            ("evil.example", 421),
        ):
            with self.subTest(host):
                headers = {"Host": host}
                self.assertEqual(self.status(remote, "GET", "/metrics", headers), status)
        self.assertEqual(self.status(local, "GET", "/metrics", {"Host": "node1.example"}), 421)


if __name__ == "__main__":
    unittest.main()
