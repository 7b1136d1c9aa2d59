"""Recorded environments, entered for real: what the survey says there against what the reference
said and what worked when it was tried."""

import json
import re
import shlex
import subprocess
import sys
import unittest
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from daemon import clean_environment
from truth import TRUTH, contradicts

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
VERIFICATION = ("survey", "--verify", "--all", "--json", "--storage")
# Names that are made for each run: of units and scopes, containers, sessions.
MADE_NAMES = (
    (re.compile(r"run-u\d+"), "run-u*"),
    (re.compile(r"run-r[0-9a-f]{32}"), "run-r*"),
    (re.compile(r"libpod-[0-9a-f]{64}"), "libpod-*"),
    (re.compile(r"session-c?\d+"), "session-*"),
)
ATTEMPTS = 3
NOTHING_BEFORE = "directly"
NOT_DUMPABLE = "what was recorded came of a process that was not dumpable: its id map was root's"
WITHOUT_PROC = "without /proc the reference sees no capability at all"


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
    said: str = ""  # the reason that the finding gives
    why: str = ""  # it is no defect

    def __str__(self):
        said = f', because "{self.said}"' if self.said else ""
        because = f" ({self.why})" if self.why else ""
        return f"{self.field}: recorded {self.recorded}, here {self.here}{said}{because}"


class Agreement:
    """The table: what became of each environment."""

    def __init__(self):
        self._rows = []
        self._counts = Counter()

    def note(self, name, differences, unverified):
        if not differences:
            outcome = "agrees"
        elif all(one.why for one in differences):
            outcome = "explained"
        else:
            outcome = "differs"
        details = [str(one) for one in differences]
        if unverified:
            details.append(f"only claimed: {', '.join(unverified)}")
        self._add(name, outcome, "; ".join(details))

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


def wrong_findings(row, findings):
    for name, worked_in in TRUTH.items():
        finding, worked = findings[name], worked_in(row)
        if contradicts(finding, worked):
            here = f"{finding['status']} ({finding['basis']})"
            yield Difference(name, "works" if worked else "does not work", here, finding["reason"])


class EnvironmentsCase(unittest.TestCase):
    """A test for each row of `groups`. Where it is to be entered otherwise than it was recorded, or
    something is to be prepared, the derived class says so."""

    # What the recording calls otherwise -> what it is called here.
    renamed = {}
    # (environment, field or finding) -> (what is said here, why it is not what was recorded)
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

    def storage(self, row):
        """The storage path: a directory of the environment that takes overlays."""
        return "/tmp"

    def options(self, row):
        """Of subprocess.run."""
        return {"env": clean_environment(), "cwd": "/"}

    def why_not(self, row):
        """The reason not to enter it here, if there is one."""
        return None

    def documents(self, row):
        """What the survey says in the environment, and all findings once they are verified."""
        return [json.loads(self.printed(row, *command)) for command in self.commands(row)]

    def commands(self, row):
        binary = self.binary(row)
        return (binary, *SURVEY), (binary, *VERIFICATION, self.storage(row))

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
            survey, findings = self._said_in_time(row)
        except Exception:
            self.agreement.note_not_entered(row["name"])
            raise
        differences = [
            self._explained(row, one)
            for one in (*self._wrong_fields(row, survey), *wrong_findings(row, findings))
        ]
        unverified = [name for name in TRUTH if findings[name]["basis"] != "verified"]
        self.agreement.note(row["name"], differences, unverified)
        self.assertFalse([str(one) for one in differences if not one.why])
        self._assert_modes_are_explained(survey)

    def _said_in_time(self, row):
        """A verification has a deadline, and an emulated machine on a busy one may miss it."""
        for _ in range(ATTEMPTS):
            survey, verified = self.documents(row)
            findings = {one["id"]: one for one in verified["findings"]}
            if all(findings[name]["reason_code"] != "timed_out" for name in TRUTH):
                break
        return survey, findings

    def _explained(self, row, difference):
        here, why = self.explained.get((row["name"], difference.field), (None, ""))
        return replace(difference, why=why) if difference.here == here else difference

    def _wrong_fields(self, row, survey):
        said = {**survey, "cgroup_parent": comparable(survey["cgroup_parent"])}
        for field, recorded in self._expected(row).items():
            if said[field] != recorded:
                yield Difference(field, recorded, said[field])

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
