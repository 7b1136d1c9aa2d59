#!/usr/bin/env python3
"""stuck_file.py FILE COMMAND...: in a mount namespace of its own, covers FILE with a FUSE mount whose
server takes the first request and never answers it, and runs COMMAND. What opens FILE is in state D
and survives SIGKILL until this process ends; that it is so is said on standard output."""

import ctypes
import os
import struct
import sys

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
IN_HEADER = struct.Struct("=IIQQIIII")  # include/uapi/linux/fuse.h
OUT_HEADER = struct.Struct("=IiQ")
INIT_OUT = struct.Struct("=IIIIHHII36x")


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def main(path, *command):
    libc = ctypes.CDLL(None, use_errno=True)
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fuse},rootmode=100644,user_id=0,group_id=0,allow_other"
    checked(libc.mount(b"stuck", path.encode(), b"fuse", 0, options.encode()), "mount")
    child = os.fork()
    if child == 0:
        os.execvp(command[0], command)
    _, _, unique, *_ = IN_HEADER.unpack_from(os.read(fuse, 1 << 20))  # FUSE_INIT
    answer = INIT_OUT.pack(7, 31, 0, 0, 16, 12, 4096, 1)
    os.write(fuse, OUT_HEADER.pack(OUT_HEADER.size + len(answer), 0, unique) + answer)
    # A request that the server has taken cannot be withdrawn by a signal any more.
    os.read(fuse, 1 << 20)
    print("stuck", flush=True)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
