"""Callers that are not the test's own user."""

import ctypes
import os
import pickle
import select
import signal
import traceback

from wire import DEADLINE

STRANGER = 65533
PR_SET_DUMPABLE = 4
CLONE_NEWUSER = 0x10000000

libc = ctypes.CDLL(None, use_errno=True)


class Failed(AssertionError):
    """The action failed in the other process."""


def call(action, uid=None, groups=(), prepare=None):
    """Runs `action` in a child process, as user and group `uid`; returns what it returned, None
    when it ended the process."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        _run_child(action, uid, groups, prepare, writable)
    os.close(writable)
    try:
        data = _read_all(readable)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(readable)
        os.waitpid(pid, 0)
    if not data:
        return None
    failure, value = pickle.loads(data)
    if failure:
        raise Failed(failure)
    return value


def become_root_of_own_namespace():
    """Maps uid 0 of a new user namespace to the current user."""
    uid, gid = os.geteuid(), os.getegid()
    # A process that changed its user does not own its /proc files.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        # No open(): another user may not be able to load the codec that it needs.
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)
    assert os.geteuid() == 0


def _run_child(action, uid, groups, prepare, writable):
    try:
        if uid is not None:
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        if prepare:
            prepare()
        outcome = (None, action())
    except BaseException:  # everything has to reach the parent, or it would wait
        outcome = (traceback.format_exc(), None)
    os.write(writable, pickle.dumps(outcome))
    os._exit(0)


def _read_all(readable):
    data = b""
    while select.select([readable], [], [], DEADLINE)[0]:
        part = os.read(readable, 65536)
        if not part:
            return data
        data += part
    raise AssertionError("the other process does not end")
