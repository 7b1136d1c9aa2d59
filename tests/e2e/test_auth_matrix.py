"""auth-matrix.json of SURVEYD_CORPORA: real users over real sockets, row by row."""

import json
import os
import re
import socket
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import WITHOUT_CGROUPS  # noqa: E402
from daemon import Daemon, corpus, needs_root, public_binary  # noqa: E402
from users import STRANGER, become_root_of_own_namespace, call  # noqa: E402

OWNER = 65532
SUDO_GROUP = 27
CHANGING = ("POST", "DELETE")

# Rows that this file cannot stage, and where they are.
ELSEWHERE = {
    "root-in-managed-container-host-net": "needs a cgroup v2 tree: see tests/kernel/test_tier0.py",
}


def stay(connection, method):
    return connection.receive(method)


def half_close(connection, method):
    connection.finish_sending()
    return connection.receive(method)


def close(connection, _):
    connection.close()


def reset(connection, _):
    connection.reset()


def leave(*_):
    os._exit(0)


def overflow_uid():
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


# Peer of the matrix: who it is, and what it does once it has written its request.
PEERS = {
    "root": ({}, stay),
    "root-half-close": ({}, half_close),
    "daemon-euid": ({"uid": OWNER}, stay),
    "other-user": ({"uid": STRANGER}, stay),
    "other-user-in-sudo-group": ({"uid": STRANGER, "groups": (SUDO_GROUP,)}, stay),
    "other-user-as-root-in-own-userns": (
        {"uid": STRANGER, "prepare": become_root_of_own_namespace},
        stay,
    ),
    "other-user-half-close": ({"uid": STRANGER}, half_close),
    "other-user-write-then-close": ({"uid": STRANGER}, close),
    "other-user-write-then-exit": ({"uid": STRANGER}, leave),
    "other-user-write-then-RST": ({"uid": STRANGER}, reset),
    "overflowuid-65534": ({"uid": overflow_uid()}, stay),
}


@needs_root
class AuthMatrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = json.loads(corpus("auth-matrix.json").read_text(encoding="utf-8"))
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        os.chmod(directory, 0o777)
        executable = public_binary(directory)
        user = ("setpriv", "--reuid", str(OWNER), "--regid", str(OWNER), "--clear-groups")
        cls.daemons = {
            owner: cls.enterClassContext(
                Daemon(
                    "--interval",
                    "3600",
                    prefix=(*WITHOUT_CGROUPS, *prefix),
                    executable=executable,
                    unix_socket=os.path.join(directory, owner),
                )
            )
            for owner, prefix in (("root", ()), ("user", user))
        }
        for owner in cls.daemons:
            # Beyond the mode of the file it is the daemon that decides.
            os.chmod(os.path.join(directory, owner), 0o666)

    def test_every_row_is_decided_as_it_says(self):
        for row in self.rows:
            with self.subTest(row["n"], **{name: row[name] for name in ("peer", "via", "method")}):
                if row["peer"] in ELSEWHERE:
                    self.skipTest(ELSEWHERE[row["peer"]])
                self.judge(row, *self.ask(row))

    def test_every_peer_of_the_matrix_is_known(self):
        peers = {row["peer"] for row in self.rows}
        self.assertFalse(peers - PEERS.keys() - ELSEWHERE.keys())

    def ask(self, row):
        """The answer, if the peer stayed for one, and how often the daemon acted for it."""
        daemon = self.daemons["user" if row["peer"] == "daemon-euid" else "root"]
        address = daemon.address
        if row["via"] == "unix":
            address = daemon.listeners[-1].removeprefix("unix:")
        names = {"{{PORT}}": str(daemon.port), "{{HOSTNAME}}": socket.gethostname()}

        def fill(text):
            return re.sub(r"\{\{\w+\}\}", lambda match: names[match[0]], text)

        headers = [(name, fill(value)) for name, value in row["headers"].items()]
        who, then = PEERS[row["peer"]]

        def act():
            with daemon.connect(address) as connection:
                connection.send_request(row["method"], fill(row["path"]), headers)
                return then(connection, row["method"])

        before = self.deeds(daemon)
        answer = call(act, **who)
        return answer, self.deeds(daemon) - before

    def deeds(self, daemon):
        """How often the daemon acted for somebody, once all earlier connections have ended."""

        def metrics_when_alone():
            metrics = daemon.metrics()
            return metrics.value("surveyd_http_connections") == 1 and metrics

        metrics = daemon.eventually(metrics_when_alone, "the row's connections have ended")
        operations = metrics.value("surveyd_cgroup_operations_total")
        refused = metrics.value("surveyd_cgroup_operations_total", result="refused")
        return operations - refused + metrics.value("surveyd_survey_generation")

    def judge(self, row, answer, deeds):
        denied = row["expect"] == "deny"
        if denied:
            self.assertEqual(deeds, 0, "the daemon acted for the caller")
        if answer is None:
            return  # the caller did not stay to be told
        names = [name.lower() for name, _ in answer.headers]
        self.assertFalse([name for name in names if name.startswith("access-control-")])
        if denied:
            self.assertIn(answer.status, range(400, 500), answer.body)
        else:
            # 501: let through, and no cgroup file system to act on.
            self.assertIn(answer.status, (200, 501), answer.body)
            self.assertEqual(deeds, int(row["method"] in CHANGING))


if __name__ == "__main__":
    unittest.main()
