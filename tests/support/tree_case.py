"""Tests that change the real tree: one tree and one daemon a test."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from cgroups import Tree, enter, words
from daemon import Daemon, DaemonCase

HOST = {"placement": "host"}
SCOPE = {"placement": "scope"}
LISTEN = ("127.0.0.1:0", "[::1]:0")
LEAF_MARK = "user.surveyd.leaf"


def facts(tree):
    """What is at the root and below the directories that begin with the tree's name: pairs of a
    cgroup and its type, each controller that is enabled for its children ("+"), its mark."""
    found = {("/", "the root")}

    def gather(path, name):
        found.update((name, f"+{one}") for one in tree.enabled(path))
        with contextlib.suppress(OSError):
            found.add((name, f"mark {os.getxattr(path, LEAF_MARK).decode()}"))

    gather(tree.root, "/")
    pending = list(tree.root.glob(f"{tree.name}*"))
    for path in pending:
        name = f"/{path.relative_to(tree.root)}"
        found.add((name, " ".join(words(path / "cgroup.type"))))
        gather(path, name)
        pending += [entry for entry in path.iterdir() if entry.is_dir()]
    return found


class TreeCase(DaemonCase):
    """One tree and one daemon a test, as every test changes both."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.tree = self.enterContext(Tree())

    def new_daemon(self, *prefix, cgroup_name=None, settings=(), **how):
        """A daemon in the namespace, below `prefix`."""
        arguments = ("--interval", "3600", "--cgroup-name", cgroup_name or self.tree.name, *settings)
        prefix = (*self.tree.inside, *prefix)
        return Daemon(*arguments, listen=LISTEN, prefix=prefix, **how)

    def start(self, *prefix, **how):
        return self.enterContext(self.new_daemon(*prefix, **how))

    def ensure(self, body=None, daemon=None):
        data = None if body is None else json.dumps(body).encode()
        return (daemon or self.daemon).request("POST", "/cgroups/ensure", body=data)

    def ensured(self, body=None, daemon=None):
        answer = self.ensure(body, daemon)
        self.assertEqual(answer.status, 200, answer.body)
        document = answer.json()
        names = {"container_parent", "placement", "created", "migrated", "controllers"}
        self.assertEqual(set(document), names)
        return document

    def remove(self, name):
        return self.daemon.request("DELETE", f"/cgroups/containers/{name}")

    def containers(self):
        document = self.daemon.request("GET", "/cgroups").json()
        return {one["id"]: one for one in document["containers"]}

    def live_in(self, path):
        """A process in this cgroup, until the end of the test."""
        process = self.enterContext(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        self.move(process.pid, path)
        return process

    def move(self, pid, path):
        (path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def end(self, process, path):
        process.stdin.close()
        process.wait()
        self.daemon.eventually(lambda: not words(path / "cgroup.procs"), "the process is gone")

    def survey_from_a_removed(self, path):
        """POST /survey over a socket whose cgroup does not exist any more."""
        enter(path)
        with self.daemon.connect() as connection:
            enter(self.tree.root)
            path.rmdir()
            return connection.request("POST", "/survey")

    def path_of(self, pid):
        """The cgroup v2 path of a process, as the initial cgroup namespace sees it."""
        text = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
        return next(line[3:] for line in text.splitlines() if line.startswith("0::"))

    def assert_delegated(self, path, document):
        """Every controller that was offered is enabled for the children, and said to be."""
        self.assertEqual(document["controllers"], dict.fromkeys(self.tree.offered, "enabled"))
        self.assertEqual(self.tree.enabled(path), self.tree.offered)

    def assert_occupied(self, answer):
        document = self.assert_problem(answer, 409, "occupied")
        return [one["pid"] for one in document.get("processes", [])], document.get("children", [])


class HostCase(TreeCase):
    def setUp(self):
        super().setUp()
        if not self.tree.is_real_root:
            self.skipTest("not in the initial cgroup namespace")
        self.daemon = self.start()
        self.parent = self.tree.own / "containers"
