"""How often a process that nobody asks wakes up."""

import os
import threading
import time
from pathlib import Path

LOOK_EVERY = 0.1


def switches(pid):
    """Voluntary context switches of all its threads: each is the end of having been awake."""
    count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        for line in Path(f"/proc/{pid}/task/{thread}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count


class Idle:
    """Looks at a server from time to time while others are measured. Threads that wake each other
    up are awake once: what happens within two looks is one wake-up."""

    def __init__(self, server):
        self._pid = server.pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._first = self._last = switches(self._pid)
        self._wake_ups = 0
        self._begun = time.monotonic()
        self._thread.start()

    def _look(self):
        was_awake = False
        while not self._end.wait(LOOK_EVERY):
            now = switches(self._pid)
            is_awake = now != self._last
            self._wake_ups += is_awake and not was_awake
            was_awake, self._last = is_awake, now

    @property
    def seconds(self):
        return time.monotonic() - self._begun

    def stop(self):
        """Wake-ups and thread switches a minute."""
        self._end.set()
        self._thread.join()
        minutes = self.seconds / 60
        return self._wake_ups / minutes, (self._last - self._first) / minutes
