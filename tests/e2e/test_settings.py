"""Settings: where they come from, which one counts, and what a wrong one says."""

import json
import os
import socket
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, run  # noqa: E402

# Keeps a daemon that starts by mistake away from the default addresses.
HARMLESS = {"listen": "127.0.0.1:0", "unix-socket": "none"}


def variable(name):
    return "SURVEYD_" + name.upper().replace("-", "_")


def variables(settings):
    return {variable(name): value for name, value in settings.items()}


def lines(settings):
    return "".join(f'{name} = "{value}"\n' for name, value in settings.items())


class SettingsCase(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def path(self, name):
        return os.path.join(self.directory, name)

    def file(self, text):
        path = self.path("surveyd.conf")
        Path(path).write_text(text, encoding="utf-8")
        return path

    def assert_wrong(self, *arguments, says, settings=None):
        """Exit status 2, nothing on standard output, one line that names what is wrong.

        `settings` are those of the environment."""
        settings = HARMLESS if settings is None else settings
        with self.subTest(arguments=arguments, settings=settings):
            ended = run(*arguments, environment=variables(settings))
            self.assertEqual(ended.returncode, 2, ended.stderr)
            self.assertEqual(ended.stdout, "")
            said = ended.stderr.splitlines()
            self.assertEqual(len(said), 1, ended.stderr)
            self.assertTrue(said[0].startswith("surveyd: "), said[0])
            for text in [says] if isinstance(says, str) else says:
                self.assertIn(text, said[0])

    def assert_cannot_start(self, *arguments, says):
        """The same for what only the start can show; the log may say what went well before."""
        with self.subTest(arguments=arguments):
            ended = run("serve", *arguments, environment=variables(HARMLESS))
            self.assertEqual(ended.returncode, 2, ended.stderr)
            complaints = [line for line in ended.stderr.splitlines() if " info " not in line]
            self.assertEqual(len(complaints), 1, ended.stderr)
            self.assertTrue(complaints[0].startswith("surveyd: "), complaints[0])
            for text in says:
                self.assertIn(text, complaints[0])


class WrongSettings(SettingsCase):
    WRONG = (
        ("listen", "127.0.0.1"),
        ("listen", "127.0.0.1:"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "127.0.0.1:-1"),
        ("listen", "127.0.0.1:http"),
        ("listen", "localhost:9847"),
        ("listen", "[::1:9847"),
        ("listen", "::1:9847"),
        ("listen", "0.0.0.0:0"),
        ("listen", "[::]:0"),
        ("listen", "192.0.2.1:0"),
        ("listen", "[::ffff:127.0.0.1]:0"),
        ("listen-remote", "example.org:1"),
        ("listen-remote", "1.2.3:4"),
        ("interval", "0"),
        ("interval", "-1"),
        ("interval", "x"),
        ("interval", "1.5"),
        ("interval", "30s"),
        ("interval", "99999999999999999999"),
        ("cgroup-name", "a/b"),
        ("cgroup-name", ".."),
        ("cgroup-name", "cgroup.procs"),
        ("cgroup-name", "a b"),
        ("log-level", "loud"),
        ("log-format", "xml"),
    )

    def test_a_wrong_option_is_one_line_and_exit_2(self):
        for name, value in self.WRONG:
            self.assert_wrong("serve", f"--{name}", value, says=name)

    def test_a_wrong_environment_variable_is_one_line_and_exit_2(self):
        for name, value in self.WRONG:
            self.assert_wrong("serve", settings={**HARMLESS, name: value}, says=name)

    def test_a_wrong_setting_in_the_file_is_one_line_and_exit_2_that_names_the_file(self):
        for name, value in self.WRONG:
            file = self.file(lines({**HARMLESS, name: value}))
            self.assert_wrong("serve", "--config", file, says=(name, file), settings={})

    def test_an_unknown_option_is_named(self):
        self.assert_wrong("serve", "--colour", "red", says="--colour")
        self.assert_wrong("--colour=red", says="--colour")
        self.assert_wrong("survey", "--colour", says="--colour")

    def test_an_unknown_command_is_named(self):
        self.assert_wrong("dance", says="dance")

    def test_an_option_without_its_value_is_named(self):
        self.assert_wrong("serve", "--interval", says="--interval")
        self.assert_wrong("serve", "--config", says="--config")

    def test_a_settings_file_that_is_not_there_is_named(self):
        missing = self.path("missing.conf")
        self.assert_wrong("serve", "--config", missing, says=missing)
        self.assert_wrong("serve", settings={**HARMLESS, "config": missing}, says=missing)

    def test_a_directory_is_no_settings_file(self):
        self.assert_wrong("serve", "--config", self.directory, says=self.directory)

    def test_an_unknown_name_in_the_file_is_named(self):
        for text, name in (
            ('colour = "red"\n', "colour"),
            ('[serve]\ninterval = 3\n', "serve"),
            ("interval = 3\nintervall = 4\n", "intervall"),
            ('config = "other.conf"\n', "config"),
        ):
            file = self.file(text)
            self.assert_wrong("serve", "--config", file, says=(name, file))

    def test_a_file_that_is_no_settings_file_is_named(self):
        for text in ("just words\n", '{"interval": 3}\n', "\x7fELF\x01\x02\n"):
            file = self.file(text)
            self.assert_wrong("serve", "--config", file, says=file)


class CannotStart(SettingsCase):
    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            says = (address, "in use")
            self.assert_cannot_start("--listen", address, says=says)

    def test_a_second_daemon_on_the_same_port_says_so(self):
        with Daemon() as first:
            address = f"127.0.0.1:{first.port}"
            says = (address, "in use")
            self.assert_cannot_start("--listen", address, says=says)
            self.assertEqual(first.request("GET", "/healthz").status, 200)

    def test_a_second_daemon_on_the_same_socket_says_so(self):
        path = self.path("surveyd.sock")
        with Daemon(unix_socket=path) as first:
            self.assert_cannot_start("--unix-socket", path, says=(path, "in use"))
            self.assertEqual(first.request("GET", "/healthz", address=path).status, 200)

    def test_another_one_that_hangs_with_a_full_queue_is_there_all_the_same(self):
        path = self.path("surveyd.sock")
        hung = self.enterContext(socket.socket(socket.AF_UNIX))
        hung.bind(path)
        hung.listen(0)
        with self.assertRaises(BlockingIOError):
            while True:
                client = self.enterContext(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        self.assert_cannot_start("--unix-socket", path, says=(path, "in use"))

    def test_a_missing_directory_for_the_socket_is_named(self):
        path = self.path("missing/surveyd.sock")
        self.assert_cannot_start("--unix-socket", path, says=(path, "No such file or directory"))

    def test_a_file_in_place_of_the_socket_stays(self):
        path = self.path("precious")
        Path(path).write_text("mine", encoding="utf-8")
        self.assert_cannot_start("--unix-socket", path, says=(path,))
        self.assertEqual(Path(path).read_text(encoding="utf-8"), "mine")

    def test_a_path_too_long_for_a_socket_is_named(self):
        path = self.path("s" * 120)
        self.assert_cannot_start("--unix-socket", path, says=(path, "too long"))

    def test_an_address_of_another_machine_is_named(self):
        self.assert_cannot_start("--listen-remote", "192.0.2.1:0", says=("192.0.2.1:0",))


class Precedence(SettingsCase):
    def interval(self, *arguments, environment=None):
        with Daemon(*arguments, environment=environment) as daemon:
            return daemon.capabilities()["survey"]["interval_s"]

    def test_the_default_interval_is_30_seconds(self):
        self.assertEqual(self.interval(), 30)

    def test_the_file_counts_when_nothing_else_does(self):
        self.assertEqual(self.interval("--config", self.file("interval = 101\n")), 101)

    def test_the_environment_names_the_file_too(self):
        file = self.file("interval = 101\n")
        self.assertEqual(self.interval(environment={"SURVEYD_CONFIG": file}), 101)

    def test_the_environment_counts_over_the_file(self):
        file = self.file("interval = 101\n")
        environment = {"SURVEYD_INTERVAL": "102"}
        self.assertEqual(self.interval("--config", file, environment=environment), 102)

    def test_the_command_line_counts_over_both(self):
        file = self.file("interval = 101\n")
        environment = {"SURVEYD_INTERVAL": "102"}
        arguments = ("--config", file, "--interval", "103")
        self.assertEqual(self.interval(*arguments, environment=environment), 103)

    def test_settings_of_different_sources_come_together(self):
        file = self.file('log-format = "json"\n')
        environment = {"SURVEYD_INTERVAL": "102"}
        with Daemon("--config", file, environment=environment) as daemon:
            self.assertTrue(daemon.log[0].startswith("{"), daemon.log[0])
            self.assertEqual(daemon.capabilities()["survey"]["interval_s"], 102)

    def test_repeatable_settings_take_lists_in_every_source(self):
        two = "127.0.0.1:0,127.0.0.2:0"
        file = self.file('listen = ["127.0.0.1:0", "127.0.0.2:0"]\n')
        for arguments, environment in (
            (("--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"), None),
            ((), {"SURVEYD_LISTEN": two}),
            (("--config", file), None),
        ):
            with self.subTest(arguments=arguments, environment=environment):
                with Daemon(*arguments, listen=(), environment=environment) as daemon:
                    hosts = [host for host, _ in daemon.addresses]
                    self.assertEqual(hosts, ["127.0.0.1", "127.0.0.2"])

    def test_comments_and_empty_lines_of_the_file_are_ignored(self):
        self.assertEqual(self.interval("--config", self.file("# x\n\ninterval = 7 # y\n")), 7)

    def test_an_unknown_variable_is_a_warning_that_names_it(self):
        # Kubernetes makes such variables for a service called surveyd.
        with Daemon(environment={"SURVEYD_PORT": "tcp://10.0.0.1:80"}) as daemon:
            self.assertIn(" warn", daemon.wait_for_log("SURVEYD_PORT"))


class Records(SettingsCase):
    # Of what warns of a variable that is no setting.
    LONG = ("A" * 5000, "\x01" * 5000, "é" * 5000, '"' * 2047 + "x" * 2048, "A" * 4090)

    def records(self, name, *arguments):
        with Daemon(*arguments, environment={f"SURVEYD_{name}": "1"}) as daemon:
            for line in daemon.log:
                self.assertLessEqual(len(line.encode()) + 1, 4096)
            return list(daemon.log)

    def test_one_that_is_too_long_is_json_all_the_same(self):
        for name in self.LONG:
            with self.subTest(name[:10]):
                messages = []
                for line in self.records(name, "--log-format", "json"):
                    messages.append(json.loads(line)["message"])
                cut = next(one for one in messages if one.startswith("the environment"))
                self.assertTrue(cut.endswith(f"{name[500]}…"), cut[-10:])
                self.assertGreater(len(json.dumps(cut, ensure_ascii=False).encode()), 4000)

    def test_one_that_is_too_long_is_one_line_of_text(self):
        for name in self.LONG:
            with self.subTest(name[:10]):
                log = self.records(name)
                self.assertTrue(all(" info " in line or " warn" in line for line in log), log)
                self.assertEqual(sum(line.endswith("…") for line in log), 1)

    def test_one_that_fits_is_whole(self):
        for form in ("json", "text"):
            line = self.records("B" * 3900, "--log-format", form)[0]
            self.assertIn("B" * 3900 + " is not a setting", line)


class Listening(SettingsCase):
    def test_every_listener_is_named_in_the_log(self):
        path = self.path("surveyd.sock")
        listen = ("127.0.0.1:0", "[::1]:0")
        with Daemon("--listen-remote", "127.0.0.2:0", listen=listen, unix_socket=path) as daemon:
            hosts = [host for host, _ in daemon.addresses]
            self.assertEqual(hosts, ["127.0.0.1", "::1", "127.0.0.2"])
            self.assertEqual(daemon.listeners[-1], f"unix:{path}")
            for address in [*daemon.addresses, path]:
                self.assertEqual(daemon.request("GET", "/healthz", address=address).status, 200)

    def test_a_remote_listener_is_a_warning(self):
        with Daemon("--listen-remote", "127.0.0.2:0") as daemon:
            self.assertIn("not encrypted", daemon.wait_for_log(" warn"))

    def test_no_unix_socket_is_made_when_none_is_asked_for(self):
        with Daemon() as daemon:
            self.assertFalse([name for name in daemon.listeners if name.startswith("unix:")])


if __name__ == "__main__":
    unittest.main()
