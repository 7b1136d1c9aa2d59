"""Runs test modules in the guest, once it is ready for them."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import in_guest  # noqa: E402
import machine  # noqa: E402

if __name__ == "__main__":
    machine.install()
    sys.exit(in_guest.run(sys.argv[1:]))
