"""Whose rights a survey and a verification go by: the effective user and the effective
capabilities, and neither the real user nor the name of root."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import clean_environment, needs_root, public_binary  # noqa: E402
from users import STRANGER  # noqa: E402

ONLY_REAL_USER_IS_OTHER = ("setpriv", f"--ruid={STRANGER}")
ONLY_EFFECTIVE_USER_IS_OTHER = ("setpriv", f"--euid={STRANGER}", "--clear-groups")
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@needs_root
class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        cls.binary = public_binary(cls.directory)
        cls.storage = Path(cls.directory, "storage")
        cls.storage.mkdir()
        cls.storage.chmod(0o1777)

    def survey(self, who, *options):
        words = [*who, self.binary, "survey", "--all", "--json", "--storage", str(self.storage)]
        ended = subprocess.run(
            [*words, *options],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return {one["id"]: one for one in json.loads(ended.stdout)["findings"]}

    def assert_answers(self, findings, expected):
        for name, answer in expected.items():
            with self.subTest(finding=name):
                told = findings[name]["status"], findings[name]["reason_code"]
                self.assertEqual(told, answer, json.dumps(findings[name], indent=2))

    def test_another_real_user_changes_nothing(self):
        usual, here = self.survey(()), self.survey(ONLY_REAL_USER_IS_OTHER)
        self.assert_answers(here, {"is_root": ("yes", "available")})
        for name, finding in usual.items():
            if name == "subordinate_ids":  # newuidmap goes by the real user
                continue
            self.assertEqual(here[name]["status"], finding["status"], name)

    def test_another_effective_user_is_that_user(self):
        here = self.survey(ONLY_EFFECTIVE_USER_IS_OTHER)
        expected = {
            "is_root": ("no", "not_root"),
            "has_cap_net_admin": ("no", "capability_missing"),
            "overlayfs_rootfs_available": ("no", "capability_missing"),
        }
        self.assert_answers(here, expected)

    def test_root_without_capabilities_is_root_and_may_nothing(self):
        missing = ("no", "capability_missing")
        expected = {"is_root": ("yes", "available"), "has_cap_net_admin": missing}
        claims = self.survey(WITHOUT_CAPABILITIES)
        self.assert_answers(claims, {**expected, "overlayfs_rootfs_available": missing})
        tried = self.survey(WITHOUT_CAPABILITIES, "--verify")
        self.assert_answers(tried, expected)
        for name in ("overlayfs_rootfs_available", "tun_device_available"):
            told = tried[name]["basis"], tried[name]["status"]
            self.assertEqual(told, ("verified", "no"), json.dumps(tried[name], indent=2))


if __name__ == "__main__":
    unittest.main()
