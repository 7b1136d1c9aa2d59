"""A service manager's end of sd_notify(3)."""

import contextlib
import socket

from wire import DEADLINE


class NotifySocket:
    """What a service manager listens on; `messages` are sets of lines."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(DEADLINE)
        # An abstract address begins with a null byte, which no variable can hold.
        self.environment = {"NOTIFY_SOCKET": address.replace("\0", "@")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def next(self, seconds=DEADLINE):
        self._socket.settimeout(seconds)
        return self._socket.recv(4096).decode().splitlines()

    def is_silent(self, seconds):
        try:
            message = self.next(seconds)
        except TimeoutError:
            return True
        raise AssertionError(message)

    def fill(self):
        """Nothing more can be sent until somebody reads."""
        with contextlib.suppress(BlockingIOError):
            while True:
                # One after another, as each may have only so much under way itself.
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.setblocking(False)
                    sender.sendto(b"FILLED=1", self._socket.getsockname())

    def drain(self):
        """What has come by now."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)

    def until(self, line):
        """All messages up to the one with this line."""
        messages = []
        while not messages or line not in messages[-1]:
            messages.append(self.next())
        return messages
