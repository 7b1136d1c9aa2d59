"""What ctest found, from the files that it wrote: the first run, and what failed once more.

usage: results.py JUNIT [JUNIT-AGAIN]

Prints how many passed, failed and were skipped, then the name of each that failed at first with
the end of what it printed. One that passed the second time counts as passed, and says so."""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path

LINES = 30
WIDTH = 200


def cases(file):
    if not Path(file).is_file():
        return {}
    return {case.get("name"): case for case in xml.parse(file).getroot().iter("testcase")}


def outcome(case):
    for one in ("failure", "skipped"):
        if case.find(one) is not None:
            return one
    return "passed"


def main(first, again=""):
    ran = cases(first)
    outcomes = {name: outcome(case) for name, case in ran.items()}
    unsteady = {
        name
        for name, case in cases(again).items()
        if outcome(case) == "passed" and outcomes.get(name) == "failure"
    }
    failed = [name for name, one in outcomes.items() if one == "failure"]
    skipped = sum(one == "skipped" for one in outcomes.values())
    lost = len(failed) - len(unsteady)
    print(len(outcomes) - lost - skipped, lost, skipped)
    for name in failed:
        print(name, "failed once, passed alone" if name in unsteady else "failed")
        said = ran[name].findtext("system-out") or ""
        for line in said.rstrip().splitlines()[-LINES:]:
            print("    " + line[:WIDTH])


if __name__ == "__main__":
    main(*sys.argv[1:])
