"""What ensure and DELETE cost beside bare system calls, cgroup-tools and crun, in one run.

Two daemons serve two container parents in the machine's own cgroup v2 tree, one with few sibling
containers and one with many. Each round measures everything once, one after the other, so that
whatever else the machine does falls on all of it. Needs root; run it through scripts/bench-cgroups.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import MOUNT_POINT, Tree, remove  # noqa: E402
from daemon import Daemon, binary, is_root, program  # noqa: E402

CLIENT_DEADLINE = 600
# Of one connection: surveyd closes it then.
MOST_REQUESTS = 9_999
# Bounds: times the cost of mkdir + rmdir, times the cost with few siblings, microseconds.
MOST_OVER_PAIR = 3
MOST_GROWTH = 1.25
MOST_ENSURE_US = 1000


def make_cgroup(name, directory):
    try:
        os.mkdir(name, dir_fd=directory)
    except BlockingIOError:  # EAGAIN
        sys.exit("cgroup.max.descendants of an ancestor does not allow so many siblings")


@dataclass
class Site:
    """A container parent and the daemon that serves it."""

    name: str
    siblings: int
    tree: Tree
    daemon: Daemon
    socket: str

    @property
    def label(self):
        return f"{self.siblings:,} siblings"

    @property
    def directory(self):
        """As it is called inside of the tree's namespace."""
        return f"{MOUNT_POINT}/{self.name}/containers"

    @property
    def parent(self):
        return self.tree.root / self.name / "containers"

    def ensure(self):
        answer = self.daemon.request("POST", "/cgroups/ensure", address=self.socket)
        assert answer.status == 200, answer.body.decode()

    @contextlib.contextmanager
    def siblings_made(self):
        directory = os.open(self.parent, os.O_RDONLY | os.O_DIRECTORY)
        names = [f"sibling-{number}" for number in range(self.siblings)]
        try:
            for name in names:
                make_cgroup(name, directory)
            yield
        finally:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(name, dir_fd=directory)
            os.close(directory)


@dataclass
class Series:
    """One thing that is measured, at one site: the client's arguments, and what it printed."""

    what: str
    site: Site
    arguments: tuple
    background: tuple = ()  # what another client does meanwhile
    rounds: list = field(default_factory=list)  # of lists of (microseconds, ...)

    def medians(self, column=None):
        """The median of each round, in microseconds: of one column, or of the sum of all."""
        pick = sum if column is None else lambda row: row[column]
        return [statistics.median(map(pick, rows)) for rows in self.rounds]


class Client:
    def __init__(self, path, tree):
        self._prefix = (*tree.inside, path)

    def run(self, series):
        with self._meanwhile(series.background):
            done = subprocess.run(
                [*self._prefix, *map(str, series.arguments)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=CLIENT_DEADLINE,
            )
        lines = done.stdout.splitlines()
        series.rounds.append([tuple(int(ns) / 1000 for ns in line.split()) for line in lines])

    @contextlib.contextmanager
    def _meanwhile(self, arguments):
        if not arguments:
            yield
            return
        command = [*self._prefix, *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as other:
            try:
                yield
                assert other.poll() is None, f"{command} ended too early"
            finally:
                other.terminate()  # and wait for the answer to what was asked last


def write_bundle(directory, site):
    """A container that crun can create without ever starting it: its program is an empty file."""
    rootfs = Path(directory, "rootfs")
    rootfs.mkdir()
    Path(rootfs, "never").touch(mode=0o755)
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/never"], "user": {"uid": 0, "gid": 0}},
        "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {
            "cgroupsPath": f"/{site.name}/containers/bench",
            "namespaces": [{"type": "pid"}, {"type": "mount"}],
        },
    }
    Path(directory, "config.json").write_text(json.dumps(config), encoding="ascii")


def with_cgroup_tools(site, count):
    controllers = ",".join(sorted(site.tree.offered))
    group = f"{controllers}:{site.name}/containers/bench"
    words = ("cgcreate", "-g", group, "--", "cgdelete", "-g", group)
    return Series("cgcreate, cgdelete", site, ("commands", count, *words))


def with_crun(site, count, directory):
    write_bundle(directory, site)
    crun = ("crun", "--root", f"{directory}/state", "--cgroup-manager=cgroupfs")
    create = (*crun, "create", "--bundle", directory, "bench")
    words = (*create, "--", *crun, "delete", "--force", "bench")
    return Series("crun create, delete --force", site, ("commands", count, *words))


def request(site, count, method, target):
    return ("request", count, site.socket, method, target)


def every_series(sites, options, directory):
    count = options.iterations
    few, many = sites
    series = []
    # Few and many siblings right after each other: what they are compared by is their ratio.
    for site in sites:
        series.append(Series("mkdir, rmdir", site, ("pair", site.directory, count)))
    for site in sites:
        words = ("delete", site.directory, count, site.socket)
        series.append(Series("mkdir, DELETE", site, words))
    requests = {"POST /cgroups/ensure": count, "GET /healthz": count, "GET /cgroups": 1}
    for what, times in requests.items():
        for site in sites:
            series.append(Series(what, site, request(site, times, *what.split())))
    # Long enough that the other client has begun by then.
    words = ("delete", many.directory, min(10 * count, MOST_REQUESTS), many.socket)
    listing = request(many, MOST_REQUESTS, "GET", "/cgroups")
    series.append(Series("mkdir, DELETE during GET /cgroups", many, words, listing))
    times = options.commands
    by_force = ("kill", few.directory, times, few.socket)
    series.append(Series("container, DELETE by force", few, by_force))
    series.append(Series("true, true", few, ("commands", times, "true", "--", "true")))
    if shutil.which("cgcreate"):
        series.append(with_cgroup_tools(few, times))
    if shutil.which("crun"):
        series.append(with_crun(few, times, directory))
    return series


class Results:
    """All series of a run, and what follows from them."""

    def __init__(self, series, sites):
        self._series = {(one.what, one.site.name): one for one in series}
        self._sites = sites

    def __getitem__(self, key):
        what, site = key
        return self._series[what, site.name]

    def rows(self):
        """(what, site, column of the client's output, medians of the rounds in microseconds)."""
        for (what, _), series in self._series.items():
            parts = what.split(", ")
            yield what.replace(", ", " + "), series.site, None, series.medians()
            if len(parts) > 1:
                for column, part in enumerate(parts):
                    yield f"  {part}", series.site, column, series.medians(column)

    def over_pair(self, site):
        pair = self["mkdir, rmdir", site].medians()
        both = self["mkdir, DELETE", site].medians()
        return [(b - p) / p for b, p in zip(both, pair)]

    def delete_per_pair(self, site):
        pair = self["mkdir, rmdir", site].medians()
        alone = self["mkdir, DELETE", site].medians(1)
        return [a / p for a, p in zip(alone, pair)]

    def growth(self, what, column=None):
        few, many = (self[what, site].medians(column) for site in self._sites)
        return [m / f for f, m in zip(few, many)]

    def ratios(self):
        """(what, values of the rounds, bound or None)."""
        for site in self._sites:
            yield (
                f"DELETE's cost over the pair, in pairs, {site.label}",
                self.over_pair(site),
                MOST_OVER_PAIR,
            )
            yield f"DELETE alone, in pairs, {site.label}", self.delete_per_pair(site), None
        yield "growth of DELETE with siblings", self.growth("mkdir, DELETE", 1), MOST_GROWTH
        yield "growth of the pair with siblings", self.growth("mkdir, rmdir"), None
        for site in self._sites:
            medians = self["POST /cgroups/ensure", site].medians()
            yield f"ensure on a ready tree, us, {site.label}", medians, MOST_ENSURE_US


def summary(medians):
    return {
        "median": statistics.median(medians),
        "least": min(medians),
        "most": max(medians),
        "rounds": medians,
    }


def print_table(results, sites):
    cells = {}
    for what, site, _, medians in results.rows():
        one = summary(medians)
        text = f"{one['median']:9.1f}  ({one['least']:.1f} to {one['most']:.1f})"
        # A part is told from a part of the same name by the row above it.
        if not what.startswith(" "):
            whole = what
        cells.setdefault((whole, what), {})[site.name] = text
    print(f"\n{'microseconds, median (rounds)':38}" + "".join(f"{s.label:>40}" for s in sites))
    for (_, what), of_site in cells.items():
        print(f"{what:38}" + "".join(f"{of_site.get(s.name, ''):>40}" for s in sites))


def print_ratios(results):
    """Whether every bound holds."""
    print()
    all_hold = True
    for what, values, bound in results.ratios():
        one = summary(values)
        text = f"{what:58} {one['median']:7.2f}  ({one['least']:.2f} to {one['most']:.2f})"
        if bound is not None:
            holds = one["median"] <= bound
            all_hold = all_hold and holds
            text += f", at most {bound:g}: {'holds' if holds else 'DOES NOT HOLD'}"
        print(text)
    return all_hold


def machine(tree):
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    models = [line.partition(": ")[2] for line in info.splitlines() if "model name" in line]
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True)
    return {
        "surveyd": version.stdout.strip(),
        "kernel": platform.release(),
        "processor": f"{len(models) or os.cpu_count()} x {models[0] if models else 'unknown'}",
        "controllers": sorted(tree.offered),
        "load_before": os.getloadavg()[0],
    }


def as_json(about, options, results):
    return {
        "machine": about,
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "microseconds": [
            {"what": what.strip(), "siblings": site.siblings, "column": column, **summary(medians)}
            for what, site, column, medians in results.rows()
        ],
        "ratios": [
            {"what": what, "bound": bound, **summary(values)}
            for what, values, bound in results.ratios()
        ],
    }


@contextlib.contextmanager
def site_of(tree, name, siblings, options, directory):
    socket = os.path.join(directory, f"{name}.sock")
    arguments = ("--interval", options.interval, "--cgroup-name", name)
    with contextlib.ExitStack() as stack:
        # Once the daemon has ended: what is left below its directory, whoever made it.
        stack.callback(remove, tree.root / name)
        daemon = Daemon(
            *map(str, arguments), listen=("none",), unix_socket=socket, prefix=tree.inside
        )
        site = Site(name, siblings, tree, stack.enter_context(daemon), socket)
        site.ensure()
        stack.enter_context(site.siblings_made())
        yield site


def measure(options):
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(Tree())
        if not tree.is_real_root:
            raise unittest.SkipTest("not in the initial cgroup namespace")
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        about = machine(tree)
        sites = [
            stack.enter_context(site_of(tree, name, siblings, options, directory))
            for name, siblings in zip((tree.name, f"{tree.name}-many"), options.siblings)
        ]
        series = every_series(sites, options, directory)
        client = Client(options.client, tree)
        for number, one in itertools.product(range(options.rounds), series):
            if one is series[0]:
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            client.run(one)
        return about, Results(series, sites), sites


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--client", required=True, type=os.path.abspath, help="as it was built")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--iterations", type=int, default=150, help="of each series in a round")
    parser.add_argument("--commands", type=int, default=6, help="the same, where processes run")
    parser.add_argument("--siblings", type=int, nargs=2, default=(10, 10_000))
    parser.add_argument("--interval", type=int, default=30, help="of the daemons, in seconds")
    parser.add_argument("--no-bounds", action="store_true", help="exit 0 whatever it cost")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.iterations > MOST_REQUESTS:
        parser.error(f"--iterations: at most {MOST_REQUESTS}")
    # An end by signal removes what was made as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if not is_root:
            raise unittest.SkipTest("needs root")
        for tool in ("unshare", "nsenter"):
            program(tool)
        about, results, sites = measure(options)
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        return 77

    for name, value in about.items():
        print(f"{name}: {value}")
    print_table(results, sites)
    all_hold = print_ratios(results)
    if options.json:
        document = json.dumps(as_json(about, options, results), indent=1)
        Path(options.json).write_text(document + "\n", encoding="utf-8")
    return 0 if all_hold or options.no_bounds else 1


if __name__ == "__main__":
    sys.exit(main())
