"""docs/cgroup-faults.md: what is answered when a system call fails, written by the tests."""

HEAD = """# What is answered when a system call fails

Written by `python3 tests/kernel/test_faults.py --write`, which makes every call of every operation
fail with every errno (strace, `inject=`) on a real cgroup v2 tree and reads the tree back; the same
test checks that this page is still true. One row is one call in the order of the operation, on the
thread that changes the tree; calls of the allocator and of thread synchronisation are left out.
Paths begin at the root of the cgroup tree, those in `/proc` excepted: `/zlayer` is the directory of
`--cgroup-name`, `/scope` the cgroup that the daemon was started in.

- `200`: done all the same, and the tree is as a success promises: the failure did not matter, or
  what failed was tried again. `200 removed`, `200 absent`: the member `removed` is true or false.
- `409`, `503`, `504`: a problem document; `503` carries the errno that was injected. What the
  operation has made is gone again, or its `detail` names it.
- `n/a`: to a kernel that answers so, something else is right.
- `not reached`: another time, the operation was done with fewer calls.

In all cases the next request, in which nothing fails, is answered as if nothing had happened.

"""
OFFERED = "Controllers that the kernel offered: "


class FaultTable:
    """One section for each operation, one row for each call of it, one column for each errno."""

    def __init__(self, path, errnos):
        self._path = path
        self._errnos = errnos
        self.rewrite = False

    def check(self, case, rows):
        """`rows` are (call, {errno: outcome}) of the operation that `case` tests."""
        section = self._render(rows)
        offered = case.tree.offered
        if self.rewrite:
            self._write({**self._sections(), case.title: section}, offered)
        elif case.exact and self._was_written_with(offered):
            known = self._sections().get(case.title, "")
            case.assertEqual(known, section, f"{self._path.name} is out of date: see its head")

    def _render(self, rows):
        columns = ["call", *self._errnos]
        lines = [columns, ["---"] * len(columns)]
        lines += [[call, *(outcomes[errno] for errno in self._errnos)] for call, outcomes in rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def _text(self):
        return self._path.read_text(encoding="utf-8") if self._path.exists() else ""

    def _was_written_with(self, offered):
        """With other controllers other calls are made."""
        return not self._path.exists() or self._offered_line(offered) in self._text()

    @staticmethod
    def _offered_line(offered):
        return OFFERED + ", ".join(sorted(offered)) + ".\n"

    def _sections(self):
        parts = [part.partition("\n\n") for part in self._text().split("\n## ")[1:]]
        return {title: table.rstrip("\n") + "\n" for title, _, table in parts}

    def _write(self, sections, offered):
        text = HEAD + self._offered_line(offered)
        for title in sorted(sections):
            text += f"\n## {title}\n\n{sections[title]}"
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(text, encoding="utf-8")
