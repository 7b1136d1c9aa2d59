"""Recorded environments, entered for real: what the survey says there against what the reference said
and what worked when it was tried."""

import json
import re
import shlex
import subprocess
import sys
import unittest
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from daemon import clean_environment

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "environments.jsonl"
FIELDS = (
    "is_root",
    "is_nested",
    "cgroup_parent",
    "can_write_cgroup_root",
    "has_cap_net_admin",
    "tun_device_available",
    "effective_mode",
)
SURVEY = ("survey", "--json")
# Names that are made for each run: of units and scopes, containers, sessions.
MADE_NAMES = (
    (re.compile(r"run-u\d+"), "run-u*"),
    (re.compile(r"run-r[0-9a-f]{32}"), "run-r*"),
    (re.compile(r"libpod-[0-9a-f]{64}"), "libpod-*"),
    (re.compile(r"session-c?\d+"), "session-*"),
)
NOTHING_BEFORE = "directly"


def rows_of(*groups):
    rows = map(json.loads, FIXTURE.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["group"] in groups]


def command_of(how):
    """The words of a recorded command line, which lost the quotes around the script of `sh -c` and
    around values with a space in them."""
    if how == NOTHING_BEFORE:
        return []
    how = re.sub(r"DeviceAllow=(\S+ rwm?)\b", r"'DeviceAllow=\1'", how)
    shell = re.fullmatch(r"(.*?)sh -c (.*) x((?: .*)?)", how, re.DOTALL)
    if shell is None:
        return shlex.split(how)
    before, script, after = shell.groups()
    return [*shlex.split(before), "sh", "-c", script, "x", *shlex.split(after)]


def comparable(path):
    """A cgroup's path without what every run names differently."""
    for name, instead in MADE_NAMES:
        path = name.sub(instead, path or "")
    return path or None


@dataclass(frozen=True)
class Difference:
    field: str
    recorded: object
    here: object
    why: str = ""  # it is no defect

    def __str__(self):
        because = f" ({self.why})" if self.why else ""
        return f"{self.field}: recorded {self.recorded}, here {self.here}{because}"


class Agreement:
    """The table: what became of each environment."""

    def __init__(self):
        self._rows = []
        self._counts = Counter()

    def note(self, name, differences):
        if not differences:
            outcome = "agrees"
        elif all(one.why for one in differences):
            outcome = "explained"
        else:
            outcome = "differs"
        self._add(name, outcome, "; ".join(map(str, differences)))

    def note_skipped(self, name, reason):
        self._add(name, "skipped", reason)

    def note_not_entered(self, name):
        self._add(name, "cannot be entered", "")

    def _add(self, name, outcome, detail):
        self._counts[outcome] += 1
        self._rows.append((name, f"{outcome}: {detail}" if detail else outcome))

    def __str__(self):
        width = max((len(name) for name, _ in self._rows), default=0)
        lines = [f"  {name:{width}}  {text}" for name, text in sorted(self._rows)]
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.most_common())
        return "\n".join(["", *lines, f"  {len(self._rows)} environments: {counts}"])


class EnvironmentsCase(unittest.TestCase):
    """A test for each row of `groups`. Where it is to be entered otherwise than it was recorded, or
    something is to be prepared, the derived class says so."""

    # What the recording calls otherwise -> what it is called here.
    renamed = {}
    # (environment, field) -> (what is said here, why it is not what was recorded)
    explained = {}

    def __init_subclass__(cls, groups=(), **options):
        super().__init_subclass__(**options)
        for row in rows_of(*groups):
            name = re.sub(r"\W", "_", row["name"])
            setattr(cls, f"test_{name}", lambda self, row=row: self._compare(row))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agreement = Agreement()
        cls.addClassCleanup(lambda: print(cls.agreement, file=sys.stderr, flush=True))

    def prefix(self, row):
        """The command that enters the environment and runs there what follows it."""
        return command_of(self._by_names_of_here(row["how"]))

    def binary(self, row):
        """Where the binary is in the environment."""
        raise NotImplementedError

    def options(self, row):
        """Of subprocess.run."""
        return {"env": clean_environment(), "cwd": "/"}

    def why_not(self, row):
        """The reason not to enter it here, if there is one."""
        return None

    def documents(self, row):
        """What the survey says in the environment."""
        return json.loads(self.printed(row, self.binary(row), *SURVEY))

    def printed(self, row, *command):
        """By a command that is run in the environment."""
        ended = subprocess.run(
            [*self.prefix(row), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            **self.options(row),
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def _compare(self, row):
        if reason := self.why_not(row):
            self.agreement.note_skipped(row["name"], reason)
            self.skipTest(reason)
        try:
            document = self.documents(row)
        except Exception:
            self.agreement.note_not_entered(row["name"])
            raise
        differences = list(self._differences(row, document))
        self.agreement.note(row["name"], differences)
        self.assertFalse([str(one) for one in differences if not one.why])
        self._assert_modes_are_explained(document)

    def _differences(self, row, document):
        said = {**document, "cgroup_parent": comparable(document["cgroup_parent"])}
        for field, recorded in self._expected(row).items():
            if said[field] != recorded:
                here, why = self.explained.get((row["name"], field), (None, ""))
                yield Difference(field, recorded, said[field], why if said[field] == here else "")

    def _expected(self, row):
        values = {name: row["reference"][name] for name in FIELDS}
        parent = self._by_names_of_here(values["cgroup_parent"] or "")
        return {
            **values,
            "cgroup_parent": comparable(parent),
            "assessed_mode": row["truth"]["mode"],
        }

    def _assert_modes_are_explained(self, document):
        differ = document["effective_mode"] != document["assessed_mode"]
        reasons = [one["why"] for one in document["disagreements"]]
        self.assertEqual(bool(reasons), differ)
        self.assertTrue(all(reasons))

    def _by_names_of_here(self, text):
        for recorded, here in self.renamed.items():
            text = text.replace(recorded, here)
        return text
