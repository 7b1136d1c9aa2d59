"""The commands that people and scripts run."""

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, binary, clean_environment, is_root, run  # noqa: E402
from wire import DEADLINE  # noqa: E402

ESCAPE = "\x1b["
SETTINGS = (
    "listen",
    "listen-remote",
    "unix-socket",
    "interval",
    "cgroup-name",
    "log-level",
    "log-format",
)
FIELDS = (
    "is_root",
    "is_nested",
    "cgroup_parent",
    "can_write_cgroup_root",
    "has_cap_net_admin",
    "tun_device_available",
    "overlayfs_rootfs_available",
    "fuse_overlayfs_rootfs_available",
    "effective_mode",
)


def on_terminal(*arguments, environment=None):
    """What the command writes when its standard output is a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [binary(), *arguments],
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:
            pass  # EIO: the last writer has closed the terminal
        process.wait(DEADLINE)
    finally:
        os.close(ours)
    return text.decode()


def too_wide(text):
    """The lines of more than 80 columns, without commands, which are there to be copied whole."""
    lines = [line for line in text.splitlines() if len(line) > 80]
    return [line for line in lines if not line.startswith("       # ")]


class General(unittest.TestCase):
    def test_help_names_every_command_and_setting(self):
        ended = run("--help")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for word in ("serve", "survey", "check", "--version", "--config"):
            self.assertIn(word, ended.stdout)
        for name in SETTINGS:
            self.assertIn(f"--{name}", ended.stdout)
            self.assertIn("SURVEYD_" + name.upper().replace("-", "_"), ended.stdout)

    def test_help_of_check_names_every_field_that_can_be_required(self):
        ended = run("check", "--help")
        self.assertEqual(ended.returncode, 0)
        for field in FIELDS[:-1]:
            self.assertIn(field, ended.stdout)

    def test_version_is_one_line(self):
        ended = run("--version")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertRegex(ended.stdout, r"\Asurveyd \d+\.\d+\.\d+\S* \(\S+\)\n\Z")

    def test_the_version_is_the_one_of_the_metric(self):
        version = run("--version").stdout.split()[1]
        with Daemon() as daemon:
            info = daemon.metrics().label_sets("surveyd_build_info")
        self.assertEqual([labels["version"] for labels in info], [version])

    def test_closed_standard_streams_are_nobody_else_s(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            closing = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
            with Daemon(unix_socket=path, prefix=closing, ready_line=None) as daemon:
                daemon.eventually(lambda: os.path.exists(path), "it listens")
                for number in range(3):
                    target = os.readlink(f"/proc/{daemon.pid}/fd/{number}")
                    self.assertEqual(target, os.devnull)

    def test_output_to_a_closed_stream_is_a_failure(self):
        self.assertEqual(run(prefix=("sh", "-c", 'exec "$0" survey >&-')).returncode, 1)

    def test_serve_is_the_default(self):
        with tempfile.TemporaryDirectory() as directory:
            arguments = ("--unix-socket", os.path.join(directory, "missing", "s"))
            ended = run("--listen", "127.0.0.1:0", *arguments)
        self.assertEqual(ended.returncode, 2)
        self.assertIn("listening on http://127.0.0.1:", ended.stderr)


class Survey(unittest.TestCase):
    def test_the_table_fits_80_columns_without_escape_codes(self):
        ended = run("survey")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertFalse(too_wide(ended.stdout))
        self.assertNotIn("\x1b", ended.stdout)
        self.assertTrue(ended.stdout.endswith("\n"))

    def test_the_table_has_no_trailing_blanks(self):
        self.assertFalse([line for line in run("survey").stdout.split("\n") if line.endswith(" ")])

    def test_the_table_names_the_fields_and_the_modes(self):
        text = run("survey").stdout
        for field in FIELDS[:-1]:
            self.assertRegex(text, rf"(?m)^{field} +(yes|no|unknown)( |$)")
        document = json.loads(run("survey", "--json").stdout)
        self.assertRegex(text, rf"effective mode +{document['effective_mode']}\n")
        self.assertRegex(text, rf"assessed mode +{document['assessed_mode']}\n")

    def test_a_terminal_gets_colours(self):
        environment = {"TERM": "xterm", "NO_COLOR": ""}
        self.assertIn(ESCAPE, on_terminal("survey", environment=environment))

    def test_a_terminal_gets_none_with_no_color(self):
        environment = {"TERM": "xterm", "NO_COLOR": "1"}
        self.assertNotIn("\x1b", on_terminal("survey", environment=environment))

    def test_the_coloured_table_fits_80_columns_too(self):
        environment = {"TERM": "xterm", "NO_COLOR": ""}
        text = on_terminal("survey", environment=environment)
        self.assertFalse(too_wide(re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "")))

    def test_json_never_has_colours(self):
        environment = {"TERM": "xterm", "NO_COLOR": ""}
        text = on_terminal("survey", "--json", environment=environment)
        self.assertNotIn("\x1b", text)
        json.loads(text)

    def test_json_is_the_document_of_get_capabilities(self):
        ended = run("survey", "--json")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        printed = json.loads(ended.stdout)
        with Daemon() as daemon:
            served = daemon.capabilities()
        self.assertEqual(set(printed["survey"]), set(served["survey"]))
        self.assertEqual({**printed, "survey": 0}, {**served, "survey": 0})
        self.assertEqual(ended.stdout, json.dumps(printed, indent=2, ensure_ascii=False) + "\n")

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ended = subprocess.run(
                [binary(), "survey"], env=clean_environment(), stdout=full, timeout=DEADLINE
            )
        self.assertEqual(ended.returncode, 1)


class Explain(unittest.TestCase):
    def test_a_finding_is_printed_in_full(self):
        text = run("explain", "tun_device_available").stdout
        self.assertRegex(text, r"^tun_device_available +(yes|no|unknown) +\(claimed\)\n")
        for part in ("asks", "answer", "because", "evidence"):
            self.assertRegex(text, rf"(?m)^{part}\b")
        self.assertIn("open(/dev/net/tun, O_RDWR)", text)

    def test_json_is_one_finding(self):
        finding = json.loads(run("explain", "is_root", "--json").stdout)
        self.assertEqual(finding["id"], "is_root")
        self.assertEqual(finding["status"], "yes" if is_root else "no")

    def test_every_finding_of_a_survey_can_be_explained(self):
        document = json.loads(run("survey", "--all", "--json").stdout)
        for finding in document["findings"]:
            with self.subTest(finding["id"]):
                ended = run("explain", finding["id"], "--json")
                explained = json.loads(ended.stdout)
                for member in ("status", "basis", "reason_code"):
                    self.assertEqual(explained[member], finding[member])

    def test_an_unknown_finding_is_2_and_names_those_that_there_are(self):
        ended = run("explain", "nothing")
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertRegex(ended.stderr, r"^surveyd: .*\"nothing\" is not a finding.*is_root.*\n$")


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads(run("survey", "--json").stdout)
        cls.mode = cls.document["effective_mode"]
        cls.other_mode = "degraded" if cls.mode == "full" else "full"

    def of_value(self, value):
        """A boolean field that has this value here."""
        return next((name for name in FIELDS if self.document[name] is value), None)

    def check(self, *arguments, status):
        ended = run("check", *arguments)
        self.assertEqual(ended.returncode, status, ended.stderr)
        self.assertEqual(ended.stdout, "")
        return ended.stderr

    def test_what_holds_is_0_and_silent(self):
        self.assertEqual(self.check("--mode", self.mode, status=0), "")
        assessed = self.document["assessed_mode"]
        self.assertEqual(self.check("--assessed-mode", assessed, status=0), "")

    def test_a_required_finding_that_is_yes_is_0(self):
        if (field := self.of_value(True)) is None:
            self.skipTest("no field is true here")
        self.assertEqual(self.check("--require", field, status=0), "")

    def test_another_mode_is_1_and_says_which_and_why(self):
        text = self.check("--mode", self.other_mode, status=1)
        self.assertIn(self.mode, text)
        self.assertIn(self.other_mode, text)
        for one in self.document["unmet_for_full"]:
            self.assertIn(one["capability"], text)
            self.assertIn(one["reason"], text)

    def test_a_missing_requirement_is_1_and_says_which_and_why(self):
        if (field := self.of_value(False)) is None:
            self.skipTest("every field is true here")
        text = self.check("--require", field, status=1)
        self.assertRegex(text, rf"(?m)^surveyd: {field} is no: .+$")

    def test_all_requirements_have_to_hold(self):
        holds, fails = self.of_value(True), self.of_value(False)
        if holds is None or fails is None:
            self.skipTest("all fields are equal here")
        for required in ((f"{holds},{fails}",), (f"{fails},{holds}",), (holds, "--require", fails)):
            text = self.check("--require", *required, status=1)
            self.assertIn(f"{fails} is no", text)
            self.assertNotIn(f"{holds} is", text)

    def test_mode_and_requirements_come_together(self):
        fails = self.of_value(False)
        if fails is None:
            self.skipTest("every field is true here")
        self.check("--mode", self.mode, "--require", fails, status=1)
        self.check("--mode", self.other_mode, "--require", fails, status=1)

    def test_wrong_usage_is_2_and_one_line(self):
        for arguments in (
            (),
            ("--mode",),
            ("--mode", "splendid"),
            ("--assessed-mode", "splendid"),
            ("--require", "a_miracle"),
            ("--require", "is_root,a_miracle"),
            ("--require", ""),
            ("is_root",),
            ("--mode", "full", "extra"),
        ):
            with self.subTest(arguments):
                text = self.check(*arguments, status=2)
                self.assertEqual(len(text.splitlines()), 1, text)
                self.assertTrue(text.startswith("surveyd: "), text)

    def test_an_unknown_requirement_is_named_with_those_that_there_are(self):
        text = self.check("--require", "a_miracle", status=2)
        self.assertIn("a_miracle", text)
        for field in FIELDS[:-1]:
            self.assertIn(field, text)

    def test_is_root_follows_the_effective_user(self):
        self.check("--require", "is_root", status=0 if is_root else 1)


if __name__ == "__main__":
    unittest.main()
