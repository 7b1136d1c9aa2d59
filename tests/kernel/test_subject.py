"""Another process as the subject: what is said on its behalf, against what the survey says when that
very process makes it, in its namespaces and with its rights."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import Tree  # noqa: E402
from daemon import (  # noqa: E402
    Daemon,
    DaemonCase,
    clean_environment,
    eventually,
    needs_root,
    public_binary,
    run,
    with_descendants,
)
from users import STRANGER, call  # noqa: E402
from wire import Connection  # noqa: E402

QUERIES = int(os.environ.get("SURVEYD_SUBJECT_QUERIES", "20"))
SH = "/bin/sh"
# Surveys by itself, then stays as what is asked about: one process, before and after.
INSIDE = '"$0" survey --json --all > "$1" 2>&1; exec /bin/sleep 600'
AS = ("setpriv", "--clear-groups")
STRANGE_TUN = "mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 1 3 && exec \"$@\""
WITHOUT_TUN = "mount -t tmpfs tmpfs /dev/net && exec \"$@\""
TUN_FOR_ROOT = (
    "mount -t tmpfs tmpfs /dev/net && mknod -m 600 /dev/net/tun c 10 200 && exec \"$@\""
)

# Below a seccomp filter that allows everything: BPF_RET|BPF_K, SECCOMP_RET_ALLOW.
FILTERED = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(program)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""

# name -> the command that makes the environment
ENVIRONMENTS = {
    "as surveyd itself": (),
    "another user without capabilities": (
        *AS, f"--reuid={STRANGER}", f"--regid={STRANGER}", "--bounding-set=-all"),
    "another user in two groups": (
        "setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--groups=4,27"),
    "another user with capabilities": (
        *AS, f"--reuid={STRANGER}", f"--regid={STRANGER}", "--inh-caps=+net_admin,+sys_admin",
        "--ambient-caps=+net_admin,+sys_admin"),
    "root without CAP_NET_ADMIN and CAP_DAC_OVERRIDE": (
        "setpriv", "--bounding-set=-net_admin,-dac_override"),
    "root without capabilities": ("setpriv", "--bounding-set=-all"),
    "root without new privileges": ("setpriv", "--no-new-privs"),
    "an effective user that is not the real one": ("setpriv", f"--ruid={STRANGER}"),
    "a mount namespace": ("unshare", "-m"),
    "a network namespace": ("unshare", "-n"),
    "a cgroup namespace": ("unshare", "-C"),
    "a user namespace as its root": ("unshare", "-U", "-r"),
    "a user namespace as nobody": ("unshare", "-U"),
    "all namespaces at once": ("unshare", "-U", "-r", "-m", "-n", "-C", "-i", "-u"),
    "a user namespace of another user": (
        *AS, f"--reuid={STRANGER}", f"--regid={STRANGER}", "unshare", "-U", "-r", "-m", "-n"),
    "a pid namespace with its own proc": ("unshare", "-m", "-p", "-f", "--mount-proc"),
    "a TUN node that is another device": ("unshare", "-m", SH, "-c", STRANGE_TUN, "x"),
    "no TUN node": ("unshare", "-m", SH, "-c", WITHOUT_TUN, "x"),
    "a TUN node that a user may not open": (
        "unshare", "-m", SH, "-c", TUN_FOR_ROOT, "x",
        *AS, f"--reuid={STRANGER}", f"--regid={STRANGER}"),
    "a PATH of its own": ("env", "PATH=/nonexistent"),
    "no PATH": ("env", "-u", "PATH"),
    "a container of bubblewrap": (
        "bwrap", "--unshare-all", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    "a read-only root without sysfs": (
        "bwrap", "--ro-bind", "/", "/", "--tmpfs", "/sys", "--dev", "/dev", "--bind", "/run",
        "/run", "--proc", "/proc"),
}
COMPARED = ("id", "status", "reason_code", "value", "reason")


def compared(document):
    return {one["id"]: {name: one[name] for name in COMPARED} for one in document["findings"]}


class Subject:
    """A process in its environment, which has already surveyed itself; ended with the context."""

    def __init__(self, directory, binary, prefix=()):
        self._file = os.path.join(directory, f"inside-{id(self)}")
        # Another user writes it, too.
        Path(self._file).touch()
        os.chmod(self._file, 0o666)
        self._command = [*prefix, SH, "-c", INSIDE, binary, self._file]

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, cwd="/", env=clean_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.pid = eventually(self._find, f"{self._command} sleeps", deadline=60)
        return self

    def _find(self):
        assert self._process.poll() is None, f"ended: {self.inside_text()}"
        for pid in with_descendants(self._process.pid):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep":
                return pid
        return None

    def inside_text(self):
        return Path(self._file).read_text()

    def inside(self):
        return json.loads(self.inside_text())

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait()

    def __exit__(self, *_):
        for pid in reversed(with_descendants(self._process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()
        os.unlink(self._file)


@needs_root
class OnBehalf(unittest.TestCase):
    """surveyd survey --pid against the process's own survey."""

    @classmethod
    def setUpClass(cls):
        # Not below /tmp: some of the environments cover it.
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/run"))
        cls.binary = public_binary(cls.directory)

    def said_of(self, pid):
        ended = run("survey", "--json", "--all", "--pid", str(pid))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)

    def assert_same(self, prefix):
        with Subject(self.directory, self.binary, prefix) as subject:
            document = self.said_of(subject.pid)
            self.assertEqual(document["survey"]["subject"], f"pid {subject.pid}")
            inside, outside = compared(subject.inside()), compared(document)
            self.assertEqual(inside.keys(), outside.keys())
            for name, finding in inside.items():
                self.assertEqual(outside[name], finding)

    def test_every_finding_is_what_the_process_finds_itself(self):
        for name, prefix in ENVIRONMENTS.items():
            with self.subTest(name):
                self.assert_same(prefix)

    def test_its_cgroup_is_its_own_and_named_from_its_namespace(self):
        with Tree() as tree:
            tree.make()
            tree.make("a")
            enter = f'echo $$ > "{tree.own}/a/cgroup.procs" && exec "$@"'
            for prefix in ((), ("unshare", "-C")):
                with self.subTest(prefix):
                    self.assert_same((SH, "-c", enter, "x", *prefix))

    def test_a_seccomp_filter_is_not_ours_to_ask(self):
        with Subject(self.directory, self.binary, (sys.executable, "-c", FILTERED)) as subject:
            findings = compared(self.said_of(subject.pid))
        for name in ("clone3", "openat2", "pidfd"):
            if name in findings:
                self.assertEqual(findings[name]["status"], "unknown", name)
                self.assertEqual(findings[name]["reason_code"], "subject_out_of_reach", name)
        self.assertEqual(findings["is_root"]["status"], "yes")

    def test_a_stranger_learns_of_another_process_only_what_everybody_may_read(self):
        with Subject(self.directory, self.binary) as subject:
            ended = call(
                lambda: subprocess.run(
                    [self.binary, "survey", "--json", "--all", "--pid", str(subject.pid)],
                    capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                ),
                uid=STRANGER,
            )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        findings = compared(json.loads(ended.stdout))
        self.assertEqual(findings["is_root"]["status"], "yes")
        self.assertEqual(findings["has_cap_net_admin"]["status"], "yes")
        for name in ("tun_device_available", "container", "cgroup_parent"):
            self.assertEqual(findings[name]["status"], "unknown", name)
        for finding in findings.values():
            if finding["status"] == "unknown":
                self.assertEqual(finding["reason_code"], "subject_out_of_reach", finding)

    def test_a_user_may_ask_about_a_process_of_its_own(self):
        prefix = ENVIRONMENTS["another user without capabilities"]
        with Subject(self.directory, self.binary, prefix) as subject:
            ended = subprocess.run(
                [*prefix, self.binary, "survey", "--json", "--all", "--pid", str(subject.pid)],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
            )
            self.assertEqual(ended.returncode, 0, ended.stderr)
            self.assertEqual(compared(json.loads(ended.stdout)), compared(subject.inside()))

    def test_who_cannot_be_asked_about_is_said_in_one_line(self):
        for pid, why in ((2, "thread of the kernel"), (4194303, "no such process")):
            with self.subTest(pid):
                ended = run("survey", "--pid", str(pid))
                self.assertEqual(ended.returncode, 1)
                self.assertEqual(ended.stdout, "")
                self.assertIn(why, ended.stderr)
                self.assertEqual(ended.stderr.count("\n"), 1)

    def test_nothing_is_verified_in_another_ones_name(self):
        ended = run("survey", "--pid", "1", "--verify")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("--pid", ended.stderr)


class SubjectCase(DaemonCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/run"))
        cls.binary = public_binary(cls.directory)
        cls.socket_path = os.path.join(cls.directory, "surveyd.sock")
        cls.daemon = cls.enterClassContext(cls.make_daemon())

    def get(self, target, uid=None, headers=()):
        address = self.daemon.address

        def ask():
            with Connection(address) as connection:
                return connection.request("GET", target, headers)

        return call(ask, uid=uid) if uid else ask()


@needs_root
class Who(SubjectCase):
    """With a daemon of its own: the log leaves lines out where there are many."""

    def test_the_owner_may_and_another_user_may_not(self):
        prefix = ENVIRONMENTS["another user without capabilities"]
        with Subject(self.directory, self.binary, prefix) as subject:
            target = f"/capabilities?pid={subject.pid}"
            self.assertEqual(self.get(target, uid=STRANGER).status, 200)
            self.assert_problem(self.get(target, uid=STRANGER - 1), 403, "forbidden")
        with Subject(self.directory, self.binary) as subject:
            self.assert_problem(
                self.get(f"/capabilities?pid={subject.pid}", uid=STRANGER), 403, "forbidden"
            )
        audit = self.daemon.audit()
        self.assertTrue(any("allowed" in line and f"uid={STRANGER}" in line for line in audit))
        self.assertTrue(any("refused" in line and f"uid={STRANGER - 1}" in line for line in audit))


@needs_root
class OverHttp(SubjectCase):
    def test_the_documents_are_those_of_the_process(self):
        prefix = ENVIRONMENTS["another user without capabilities"]
        with Subject(self.directory, self.binary, prefix) as subject:
            answer = self.get(f"/findings?pid={subject.pid}")
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.header("Cache-Control"), "no-store")
            self.assertEqual(compared(answer.json()), compared(subject.inside()))
            document = self.get(f"/capabilities?pid={subject.pid}").json()
            self.assertFalse(document["is_root"])
            about = document["survey"]
            self.assertEqual(about["subject"], f"pid {subject.pid}")
            self.assertEqual((about["interval_s"], about["stale"]), (0, False))
            one = self.get(f"/findings/is_root?pid={subject.pid}").json()
            self.assertEqual((one["id"], one["status"]), ("is_root", "no"))
        self.assertEqual(self.daemon.capabilities()["survey"]["subject"], "self")

    def test_browsers_and_proxies_may_not(self):
        for header in (("Origin", "http://localhost"), ("Via", "1.1 proxy")):
            with self.subTest(header):
                answer = self.get(f"/capabilities?pid={os.getpid()}", headers=[header])
                self.assert_problem(answer, 403)

    def test_what_is_no_pid_is_400(self):
        for value in ("0", "-1", "+1", "1x", "", "4194305", "99999999999999999999", "1&pid=2", "%31"):
            with self.subTest(value):
                self.assert_problem(self.get(f"/capabilities?pid={value}"), 400)
        self.assert_problem(self.get("/capabilities?uid=1"), 400, "unknown-parameter")
        self.assert_problem(self.get("/capabilities?pid"), 400)

    def test_who_is_gone_is_404(self):
        with Subject(self.directory, self.binary) as subject:
            subject.end()
            target = f"/findings?pid={subject.pid}"
            self.assert_problem(self.get(target), 404, "no-such-process")
        self.assert_problem(self.get("/capabilities?pid=2"), 404, "no-such-process")
        self.assert_problem(self.get("/findings/nothing?pid=1"), 404, "no-such-finding")

    def test_who_ends_meanwhile_is_404_or_was_whole(self):
        for _ in range(3):
            with Subject(self.directory, self.binary) as subject:
                with ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(self.get, f"/findings?pid={subject.pid}")
                    subject.end()
                    answer = asked.result()
                self.assertIn(answer.status, (200, 404))
                if answer.status == 200:
                    self.assertEqual(compared(answer.json()), compared(subject.inside()))

    def test_many_callers_are_answered_or_told_to_come_again(self):
        with ThreadPoolExecutor(16) as pool:
            target = f"/capabilities?pid={os.getpid()}"
            answers = list(pool.map(lambda _: self.get(target), range(32)))
        self.assertIn(200, {answer.status for answer in answers})
        for answer in answers:
            self.assertIn(answer.status, (200, 503))
            if answer.status == 503:
                self.assertEqual(answer.header("Retry-After"), "1")

    def test_nothing_is_left_behind(self):
        def left():
            pid = self.daemon.pid
            return (
                sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")),
                Path(f"/proc/{pid}/mountinfo").read_text(),
                with_descendants(pid),
            )

        prefix = ENVIRONMENTS["all namespaces at once"]
        with Subject(self.directory, self.binary, prefix) as subject:
            target = f"/capabilities?pid={subject.pid}"
            with self.daemon.connect() as connection:
                self.assertEqual(connection.request("GET", target).status, 200)
                before = left()
                for _ in range(QUERIES):
                    self.assertEqual(connection.request("GET", target).status, 200)
                self.assertEqual(left(), before)


@needs_root
class AsTheDaemonsSubject(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(dir="/run"))
        self.binary = public_binary(self.directory)

    def test_it_is_surveyed_until_it_is_gone(self):
        prefix = ENVIRONMENTS["another user without capabilities"]
        with Subject(self.directory, self.binary, prefix) as subject:
            arguments = ("--subject-pid", str(subject.pid), "--interval", "1")
            with Daemon(*arguments) as daemon:
                document = daemon.capabilities()
                self.assertEqual(document["survey"]["subject"], f"pid {subject.pid}")
                self.assertFalse(document["is_root"])
                self.assertEqual(daemon.request("GET", "/readyz").status, 200)
                subject.end()
                daemon.eventually(
                    lambda: daemon.request("GET", "/capabilities").status == 404, "404"
                )
                answer = daemon.request("GET", "/findings")
                self.assertEqual(answer.json()["type"], "urn:surveyd:problem:no-such-process")
                self.assertEqual(daemon.request("GET", "/readyz").status, 503)
                self.assertNotIn(b"surveyd_capability{", daemon.request("GET", "/metrics").body)
                self.assertEqual(daemon.request("GET", "/healthz").status, 200)
                told = [line for line in daemon.log if "cannot be surveyed" in line]
                self.assertEqual(len(told), 1)

    def test_one_that_is_not_there_is_a_wrong_setting(self):
        ended = run("serve", "--listen", "127.0.0.1:0", "--unix-socket", "none",
                    "--subject-pid", "4194303")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("no such process", ended.stderr)
        both = run("serve", "--subject-pid", "1", "--subject-unit", "x")
        self.assertEqual(both.returncode, 2)


if __name__ == "__main__":
    unittest.main()
