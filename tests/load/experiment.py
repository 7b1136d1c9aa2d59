"""What the experiments of scripts/robustness have in common."""

import os
import resource
import subprocess
from pathlib import Path

from daemon import Daemon, program

NOBODYS_HURRY = ("--interval", "86400")


class Bench:
    """What the experiments share: a directory for the Unix socket, and how much to do."""

    def __init__(self, directory, scale, seconds, cap):
        self.socket = os.path.join(directory, "surveyd.sock")
        self.scale = scale
        self.seconds = seconds
        self.cap = cap

    def times(self, count):
        return max(1, int(count * self.scale))

    def compile(self, source, *options):
        """The path of what becomes of a C file of this directory, for every user."""
        directory = os.path.dirname(self.socket)
        os.chmod(directory, 0o755)
        path = os.path.join(directory, Path(source).stem)
        source = Path(__file__).with_name(source)
        subprocess.run([program("cc"), "-O1", "-o", path, source, *options], check=True)
        return path

    def daemon(self, *arguments, **more):
        more.setdefault("listen", ("127.0.0.1:0",))
        return Daemon(*arguments, unix_socket=self.socket, **more)


def allow_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
