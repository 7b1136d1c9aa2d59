"""What surveyd withstands: each experiment starts a daemon of its own, does its worst for a bounded
time, prints figures beside their bars and writes them as JSON. docs/robustness.md has the results.
See scripts/robustness for how to call it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "support"))
sys.path.insert(0, str(HERE.parent))

from callers import owner, vanishing  # noqa: E402
from crowds import crowd, descriptors, floods, slow  # noqa: E402
from experiment import Bench  # noqa: E402
from faults import clocks, ending, hanging, logs  # noqa: E402
from measure import Report, write  # noqa: E402
from odd_text import odd  # noqa: E402
from soaking import soak  # noqa: E402

EXPERIMENTS = {
    function.__name__: function
    for function in (
        owner, vanishing, slow, crowd, descriptors, floods, hanging, ending, odd, clocks, logs, soak,
    )
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/robustness", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT",
                        help=", ".join(EXPERIMENTS) + " [all]")
    parser.add_argument("--scale", type=float, default=1.0,
                        help="how much of it: 0.01 for a hundredth [1]")
    parser.add_argument("--seconds", type=int, default=600, help="of the soak [600]")
    parser.add_argument("--cap", type=int, default=4096,
                        help="of connections, for a binary that cannot be told another [4096]")
    parser.add_argument("--json", metavar="DIRECTORY", help="where to write a file for each")
    settings = parser.parse_args()
    unknown = set(settings.experiments) - EXPERIMENTS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    reports = []
    for name in settings.experiments or EXPERIMENTS:
        print(f"{name}: {EXPERIMENTS[name].__doc__.splitlines()[0]}", flush=True)
        report = Report(name)
        with tempfile.TemporaryDirectory() as directory:
            EXPERIMENTS[name](Bench(directory, settings.scale, settings.seconds, settings.cap), report)
        reports.append(report)
    if settings.json:
        os.makedirs(settings.json, exist_ok=True)
        write(settings.json, reports)
    missed = [f"{report.name}: {what}" for report in reports for what in report.missed]
    print(f"{len(missed)} bars missed" + "".join(f"\n  {one}" for one in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
