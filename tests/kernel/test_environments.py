"""Recorded environments, entered for real on a machine like the one where they were recorded: what
the survey says there against what the reference said and what worked."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))

from cgroups import Tree  # noqa: E402
from daemon import clean_environment, is_root, public_binary  # noqa: E402

FIXTURE = TESTS / "fixtures" / "environments.jsonl"
RECORDED_NAME = "probe-test"
DELEGATED_TO = 65534
HYBRID = Path("/sys/fs/cgroup/unified")
FIELDS = (
    "is_root",
    "is_nested",
    "cgroup_parent",
    "can_write_cgroup_root",
    "has_cap_net_admin",
    "tun_device_available",
    "effective_mode",
)
NOT_REPEATABLE = {
    "bwrap-noproc-nosys": "its root file system has no libraries for a dynamically linked binary",
}
if os.environ.get("SURVEYD_SANITIZED"):
    NOT_REPEATABLE["host-root-euid-nobody"] = "the leak check needs a process that may trace itself"


def host_rows():
    rows = map(json.loads, FIXTURE.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["group"] == "host"]


def command_of(how):
    """The words of a recorded command line, which lost the quotes around the script of `sh -c`."""
    shell = re.fullmatch(r"(.*?)sh -c (.*) x((?: .*)?)", how, re.DOTALL)
    if shell is None:
        return shlex.split(how)
    before, script, after = shell.groups()
    return [*shlex.split(before), "sh", "-c", script, "x", *shlex.split(after)]


class Environments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not is_root:
            raise unittest.SkipTest("needs root")
        if not (HYBRID / "cgroup.procs").exists():
            raise unittest.SkipTest("recorded on a hybrid host, and this is none")
        cls.tree = cls.enterClassContext(Tree())
        cls.make_cgroups()
        # Not below /tmp: some of the environments cover it.
        directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/run"))
        cls.binary = public_binary(directory)
        cls.table = []
        cls.addClassCleanup(cls.print_table)

    @classmethod
    def make_cgroups(cls):
        for names in ((), ("a",), ("b",), ("b", "init"), ("del",)):
            cls.tree.make(*names)
        delegated = cls.tree.own / "del"
        names = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")
        for path in (delegated, *(delegated / name for name in names)):
            os.chown(path, DELEGATED_TO, DELEGATED_TO)

    @classmethod
    def print_table(cls):
        width = max((len(name) for name, _ in cls.table), default=0)
        lines = [f"  {name:{width}}  {outcome}" for name, outcome in sorted(cls.table)]
        entered = [outcome for _, outcome in cls.table if not outcome.startswith("skipped")]
        total = f"  {entered.count('agrees')} of {len(entered)} entered agree"
        print("", *lines, total, sep="\n", file=sys.stderr)

    def survey(self, how):
        """What the survey says in the environment."""
        command = command_of(how.replace(RECORDED_NAME, self.tree.name))
        ended = subprocess.run(
            [*command, self.binary, "survey", "--json"],
            env=clean_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)

    def expected(self, row):
        values = {name: row["reference"][name] for name in FIELDS}
        if values["cgroup_parent"]:
            parent = values["cgroup_parent"].replace(RECORDED_NAME, self.tree.name)
            values["cgroup_parent"] = parent
        return {**values, "assessed_mode": row["truth"]["mode"]}

    def note(self, row, outcome):
        self.table.append((row["name"], outcome))

    def skip(self, row, reason):
        self.note(row, f"skipped: {reason}")
        self.skipTest(reason)

    def test_the_survey_says_what_was_recorded(self):
        for row in host_rows():
            with self.subTest(row["name"]):
                if row["name"] in NOT_REPEATABLE:
                    self.skip(row, NOT_REPEATABLE[row["name"]])
                tool = command_of(row["how"])[0]
                if shutil.which(tool) is None:
                    self.skip(row, f"{tool} is not installed")
                expected = self.expected(row)
                document = self.survey(row["how"])
                differences = {
                    name: (value, document[name])
                    for name, value in expected.items()
                    if document[name] != value
                }
                said = [f"{name}: {old}, now {new}" for name, (old, new) in differences.items()]
                self.note(row, "; ".join(said) or "agrees")
                self.assertFalse(differences)

    def test_at_least_fifteen_environments_can_be_entered_with_the_standard_tools(self):
        standard = {"setpriv", "unshare", "sh", "prlimit"}
        tools = [command_of(row["how"])[0] for row in host_rows()]
        self.assertGreaterEqual(sum(tool in standard for tool in tools), 15)

    def test_where_the_modes_differ_the_survey_says_why(self):
        for row in host_rows():
            tool = command_of(row["how"])[0]
            if row["name"] in NOT_REPEATABLE or shutil.which(tool) is None:
                continue
            with self.subTest(row["name"]):
                document = self.survey(row["how"])
                differ = document["effective_mode"] != document["assessed_mode"]
                reasons = [one["why"] for one in document["disagreements"]]
                self.assertEqual(bool(reasons), differ)
                self.assertTrue(all(reasons))


if __name__ == "__main__":
    unittest.main()
