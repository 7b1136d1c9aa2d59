"""The system calls of one survey, recorded from the survey itself, in the form that bare_calls makes
again."""

import re
import subprocess

# Which arguments the kernel reads a string from; all other pointers are space that it writes to.
PATHS = {
    "access": {0},
    "faccessat2": {1},
    "getxattr": {0, 1},
    "newfstatat": {1},
    "openat": {1},
    "openat2": {1},
    "mount_setattr": {1},
    "readlink": {0},
    "statfs": {0},
}
ARGUMENT = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?|\{.*?\}|\[.*?\]|[^,\s][^,]*')
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += ")


def record(command, environment):
    """Each call as a list of the name and the arguments, for the last of `command`'s surveys;
    `command` gets the number of surveys as its last argument."""
    once, twice = (trace([*command, str(surveys)], environment) for surveys in (1, 2))
    return twice[len(once):]


def trace(command, environment):
    strace = ["strace", "-f", "-X", "raw", "-s", "4096", "-o", "/dev/stdout", "--", *command]
    lines = subprocess.run(strace, env=environment, check=True, capture_output=True, text=True).stdout
    calls = (CALL.match(line) for line in lines.splitlines())
    return [(call[1], ARGUMENT.findall(call[2])) for call in calls if call and call[1] != "exit_group"]


def lines_of(calls):
    return "".join("\t".join([name, *(argument_of(name, i, text) for i, text in enumerate(arguments))]) + "\n"
                   for name, arguments in calls)


def argument_of(name, index, text):
    if text.startswith('"') and index in PATHS.get(name, ()):
        return "s" + text[1:-1]
    if name == "capget" and index == 0:
        return "c"
    if text == "NULL":
        return "n0"
    if text[0] in '"{[':
        return "b"
    if re.fullmatch(r"-?(0x)?[0-9a-f]+", text):
        return "n" + text
    # A pointer that strace did not follow, because the call failed.
    return "b"
