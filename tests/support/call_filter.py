"""Runs a program under a seccomp filter that answers some system calls with an errno, as an old
profile of a container engine does: call_filter.py ERRNO CALL[,CALL] PROGRAM [ARGUMENT…]"""

import ctypes
import errno
import os
import platform
import struct
import sys

# include/uapi/asm-generic/unistd.h; x86-64 has the same numbers for all calls of these years.
NUMBERS = {"pidfd_send_signal": 424, "pidfd_open": 434, "clone3": 435, "openat2": 437}
# include/uapi/linux/audit.h
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_ALLOW = 0x7FFF0000
# struct seccomp_data
OFFSET_OF_NUMBER = 0
OFFSET_OF_ARCHITECTURE = 4
# include/uapi/linux/bpf_common.h
LOAD_WORD = 0x20
JUMP_IF_EQUAL = 0x15
RETURN = 0x06


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def instruction(code, value, if_true=0, if_false=0):
    """struct sock_filter"""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def filter_of(answer, calls):
    """Another architecture's calls have other numbers, and are let pass."""
    tests = [
        # To the last instruction when it is this call.
        instruction(JUMP_IF_EQUAL, NUMBERS[call], if_true=len(calls) - place)
        for place, call in enumerate(calls)
    ]
    return [
        instruction(LOAD_WORD, OFFSET_OF_ARCHITECTURE),
        instruction(JUMP_IF_EQUAL, ARCHITECTURES[platform.machine()], if_false=len(calls) + 1),
        instruction(LOAD_WORD, OFFSET_OF_NUMBER),
        *tests,
        instruction(RETURN, SECCOMP_RET_ALLOW),
        instruction(RETURN, SECCOMP_RET_ERRNO | answer),
    ]


def install(instructions):
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(instructions), b"".join(instructions))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


if __name__ == "__main__":
    answer, calls, *command = sys.argv[1:]
    install(filter_of(getattr(errno, answer), calls.split(",")))
    os.execv(command[0], command)
