"""Another unit as the subject of the daemon: followed through its restarts, pinned in between."""

from pathlib import Path

from daemon import eventually
from machine import UNIT, ServiceCase, request, run, systemctl

OTHER = "subject.service"
OTHER_UNIT = UNIT.with_name(OTHER)
# After the one that every test of the guest has.
DROP_IN = UNIT.with_name(UNIT.name + ".d") / "zz-subject.conf"
# A user without rights, in a mount namespace with private devices: no TUN.
TEXT = """[Service]
ExecStart=/bin/sleep infinity
User=nobody
PrivateDevices=yes
"""


def main_pid():
    return int(systemctl("show", "--property=MainPID", "--value", OTHER).stdout)


class SubjectUnit(ServiceCase):
    def setUp(self):
        OTHER_UNIT.write_text(TEXT, encoding="ascii")
        lines = ("SURVEYD_SUBJECT_UNIT=subject", "SURVEYD_INTERVAL=1")
        text = "[Service]\n" + "".join(f"Environment={line}\n" for line in lines)
        DROP_IN.write_text(text, encoding="ascii")
        self.addCleanup(self.take_away)
        systemctl("daemon-reload")
        systemctl("start", OTHER)
        super().setUp()

    @staticmethod
    def take_away():
        run("systemctl", "stop", OTHER, check=False)
        OTHER_UNIT.unlink()
        DROP_IN.unlink()
        systemctl("daemon-reload")

    def subject(self):
        answer = request("GET", "/capabilities")
        return answer.json()["survey"]["subject"] if answer.status == 200 else None

    def await_subject(self, pid):
        expected = f"unit subject (pid {pid})"
        eventually(lambda: self.subject() == expected, expected)

    def test_the_unit_is_surveyed_by_its_own_rights(self):
        self.await_subject(main_pid())
        document = request("GET", "/capabilities").json()
        self.assertFalse(document["is_root"])
        self.assertFalse(document["has_cap_net_admin"])
        self.assertFalse(document["tun_device_available"])
        self.assertEqual(document["cgroup_parent"], f"/system.slice/{OTHER}")

    def test_a_restart_is_followed(self):
        before = main_pid()
        self.await_subject(before)
        systemctl("restart", OTHER)
        self.assertNotEqual(main_pid(), before)
        self.await_subject(main_pid())

    def test_it_is_404_while_the_unit_is_stopped(self):
        self.await_subject(main_pid())
        systemctl("stop", OTHER)
        eventually(lambda: request("GET", "/capabilities").status == 404, "404")
        answer = request("GET", "/findings")
        self.assertEqual(answer.json()["type"], "urn:surveyd:problem:no-such-process")
        self.assertEqual(request("GET", "/readyz").status, 503)
        systemctl("start", OTHER)
        self.await_subject(main_pid())

    def test_cgroups_stay_surveyds_own(self):
        self.await_subject(main_pid())
        # Whether or not a helper of a survey runs just now.
        document = self.ensured("scope")
        self.assertEqual(document["container_parent"], f"/system.slice/{UNIT.name}/containers")
        self.assertTrue(Path(f"/proc/{main_pid()}").exists())
