"""strace on one thread of a running daemon: which calls an operation makes, and one of them made
to fail or to be the last."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from daemon import program

# What the C++ runtime does for itself: memory, sleeping and waking other threads. The kernel does
# not answer these with the errnos of a file system.
RUNTIME = (
    *("brk", "mmap", "munmap", "mprotect", "mremap", "madvise"),
    *("futex", "restart_syscall", "rt_sigprocmask", "rt_sigreturn", "sched_yield"),
    *("epoll_ctl", "gettid", "getpid", "clock_nanosleep", "nanosleep", "exit"),
)
CALL = re.compile(r"(\w+)\((.*)\) += (.*)$")
# Calls whose first text is a path, besides those that end in "at".
TAKES_A_NAME = ("openat2", "faccessat2", "statfs", "open", "stat", "readlink")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"^(?:\[\{fd=)?(?:\d+|AT_FDCWD)<([^>]*)>")


@dataclass(frozen=True)
class Call:
    """One system call: the `number`-th of its name since strace was attached."""

    name: str
    number: int
    about: str  # the path that it is given or that its descriptor stands for
    injected: bool
    result: str


def thread_called(daemon, name):
    """The daemon's thread of this name."""

    def find():
        for task in Path(f"/proc/{daemon.pid}/task").iterdir():
            if (task / "comm").read_text(encoding="utf-8").strip() == name:
                return int(task.name)
        return None

    return daemon.eventually(find, f"there is a thread called {name}")


class Trace:
    """Attached inside of the context; `calls` is what the thread did there."""

    def __init__(self, thread, *options):
        self._command = [program("strace"), "-y", "-s", "256", "-p", str(thread)]
        self._command += ["-e", "trace=!" + ",".join(RUNTIME), *options]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            self._output = Path(directory, "trace")
            self._tracer = stack.enter_context(
                subprocess.Popen(
                    [*self._command, "-o", str(self._output)],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(self._detach)
            line = self._tracer.stderr.readline()
            assert "attached" in line, line
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *_):
        self._close()

    def _detach(self):
        self._tracer.send_signal(signal.SIGINT)
        self._tracer.communicate()
        self.calls = calls_of(self._output.read_text(encoding="utf-8", errors="replace"))


def calls_of(text):
    """What strace wrote about one thread."""
    calls, counts = [], {}
    for line in text.splitlines():
        match = CALL.match(line)
        if not match:
            continue
        name, arguments, result = match.groups()
        counts[name] = counts.get(name, 0) + 1
        calls.append(
            Call(name, counts[name], _about(name, arguments), result.endswith("(INJECTED)"), result)
        )
    return calls


def _about(name, arguments):
    descriptor = DESCRIPTOR.match(arguments)
    base = descriptor[1] if descriptor else ""
    given = QUOTED.search(arguments)
    if given and (name.endswith("at") or name in TAKES_A_NAME):
        return os.path.normpath(os.path.join(base, given[1]))
    return base
