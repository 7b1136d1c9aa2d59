"""No id that others thought up removes anything but the container that it names."""

import contextlib
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import tree_case  # noqa: E402
from daemon import container_ids, corpus, needs_root, program  # noqa: E402

# The contract: letters, digits, _ . - and nothing that a file of the kernel may be called.
VALID = re.compile(r"(?!cgroup\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
CHANGES = "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2"


def traversal_lines():
    """The payloads, as Latin-1: every byte is sent as it is."""
    for path in sorted(corpus("traversal").iterdir()):
        for line in path.read_bytes().split(b"\n"):
            if payload := line.rstrip(b"\r"):
                yield payload.replace(b"{FILE}", b"victim").decode("latin-1")


@needs_root
class Traversal(tree_case.HostCase):
    def start(self, *prefix, **how):
        """Below strace, which stops the daemon at the calls that change directories only."""
        self.trace = Path(self.enterContext(tempfile.TemporaryDirectory()), "trace")
        tracer = (program("strace"), "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CHANGES}")
        self.is_traced = not os.environ.get("SURVEYD_SANITIZED")
        if not self.is_traced:
            return super().start(*prefix, **how)
        return super().start(*prefix, *tracer, "-o", str(self.trace), **how)

    def setUp(self):
        super().setUp()
        # Made by us, so that the daemon has no reason to.
        for name in ("", "containers", "victim", "victim/child", "etc", "sys", "x", "b"):
            (self.tree.own / name).mkdir()
        for name in ("a", "a/b", "keep", "keep/victim", "victim", "containers"):
            (self.parent / name).mkdir()

    def listing(self):
        """Every cgroup; the inode tells whether it has been made anew."""
        return {name: (self.tree.root / name).stat().st_ino for name in self.tree.names()}

    def changes(self):
        """The calls that strace saw, once the daemon has ended."""
        self.daemon.stop()
        if not self.is_traced:
            return []
        lines = self.trace.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if "(" in line and "+++" not in line]

    def delete_each(self, tails):
        """(tail, force, status) of each, without and with ?force=true."""
        with contextlib.ExitStack() as stack:
            connection = None
            for tail in tails:
                for force in ("", "&force=true" if "?" in tail else "?force=true"):
                    connection = connection or stack.enter_context(self.daemon.connect())
                    target = f"/cgroups/containers/{tail}{force}"
                    answer = connection.request("DELETE", target)
                    if answer.closes:
                        stack.pop_all().close()
                        connection = None
                    yield tail, force, answer.status

    def assert_all_refused(self, tails):
        before = self.listing()
        wrong = [one for one in self.delete_each(tails) if one[2] not in (400, 404)]
        self.assertEqual(wrong, [])
        self.assertEqual(self.listing(), before)
        self.assertEqual(self.changes(), [])

    def test_refused_ids_change_nothing(self):
        self.assert_all_refused([tail for tail, expect in container_ids() if expect == "refuse"])

    def test_traversal_payloads_change_nothing(self):
        payloads = [line for line in traversal_lines() if not VALID.fullmatch(line)]
        self.assertGreater(len(payloads), 1000)
        self.assert_all_refused(payloads)

    def test_a_valid_id_removes_the_container_that_it_names(self):
        names = [tail for tail, expect in container_ids() if expect == "valid"]
        names += [line for line in traversal_lines() if VALID.fullmatch(line)]
        for name in names:
            for force in ("", "?force=true"):
                with self.subTest(name, force=force):
                    (self.parent / name).mkdir(exist_ok=True)
                    before = self.listing()
                    answer = self.remove(name + force)
                    self.assert_removed(name, answer, before, force)
        # What the other tests do not see, this one does.
        self.assertEqual(any("unlinkat(" in line for line in self.changes()), self.is_traced)

    def assert_removed(self, name, answer, before, force):
        named = f"{self.tree.name}/containers/{name}"
        inside = {one for one in before if one.startswith(f"{named}/")}
        gone = {one for one in before if one not in self.listing()}
        if inside and not force:
            self.assertEqual((answer.status, gone), (409, set()))
        else:
            self.assertEqual(answer.json(), {"id": name, "removed": True})
            self.assertEqual(gone, inside | {named})
        self.assertLessEqual(self.listing().items(), before.items())

    def test_what_may_be_either_way_changes_nothing_else(self):
        named = {f"{self.tree.name}/containers/{name}" for name in ("a", "a/b", "containers")}
        tails = [tail for tail, expect in container_ids() if expect == "either"]
        before = self.listing()
        statuses = {status for _, _, status in self.delete_each(tails)}
        self.assertLessEqual(statuses, {200, 400, 404, 409})
        gone = {one for one in before if one not in self.listing()}
        self.assertLessEqual(gone, named)
        self.assertLessEqual(self.listing().items(), before.items())


if __name__ == "__main__":
    unittest.main()
