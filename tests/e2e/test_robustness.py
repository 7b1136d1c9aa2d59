"""Short forms of what scripts/robustness does at length: load, floods and faults from outside."""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "support"))
sys.path.insert(0, str(HERE.parents[1] / "load"))

import clients  # noqa: E402
from daemon import Daemon, DaemonCase, program  # noqa: E402
from measure import MEBIBYTE, count_of, pause, resident  # noqa: E402
from wire import Connection  # noqa: E402


class Accepting(DaemonCase):
    def test_a_lack_of_descriptors_is_logged_now_and_then(self):
        pid = self.daemon.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # Not before it starts: its cap of connections keeps within what it finds then.
        few = count_of(pid, "fd") + 5
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, limits[1]))
        try:
            crowd = [self.enterContext(self.daemon.connect()) for _ in range(50)]
            self.daemon.wait_for_log("cannot accept on http://127.0.0.1")
            pause(2)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        for client in crowd:
            client.close()
        self.assertEqual(sum("cannot accept" in line for line in self.daemon.log), 1)
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)

    @unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "a sanitizer has an allocator of its own")
    def test_what_a_crowd_has_used_is_given_back(self):
        self.daemon.request("GET", "/findings")
        pid = self.daemon.pid
        before = resident(pid)
        crowd = [self.enterContext(self.daemon.connect()) for _ in range(600)]
        for client in crowd:
            client.send_request("GET", "/findings")
        # Whoever has an answer that is not read is served all the same.
        self.assertTrue(all(client.receive().status == 200 for client in crowd))
        most = resident(pid) - before
        self.assertGreater(most, 2 * MEBIBYTE, "no crowd at all")
        for client in crowd:
            client.close()
        self.daemon.eventually(lambda: resident(pid) - before < most / 3, "memory is given back")


@unittest.skipIf(os.environ.get("SURVEYD_SANITIZED"), "a sanitizer has an allocator of its own")
class WithoutMemory(unittest.TestCase):
    def start(self, **when):
        library = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "no_memory.so")
        source = HERE.parents[1] / "load" / "no_memory.c"
        words = [program("cc"), "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]
        subprocess.run(words, check=True)
        daemon = self.enterContext(Daemon(environment={"LD_PRELOAD": library, **when}))
        self.assertEqual(daemon.request("GET", "/healthz").status, 200)
        return daemon

    def test_a_listener_outlives_it(self):
        daemon = self.start(REFUSE_AT="2")
        for _ in range(2):
            self.assertEqual(daemon.request("GET", "/healthz").status, 200)

    def test_who_cannot_be_served_then_is_not_waited_for_at_the_end(self):
        daemon = self.start(STARVE_AFTER="2")
        with daemon.connect() as client:
            self.assertEqual(client.rest(), b"")
        daemon.stop(3)  # it waits for 4 seconds for those that it counts


class Gone(DaemonCase):
    def test_who_takes_no_answer_is_reset_and_leaves_nothing_in_the_kernel(self):
        swarm = clients.run_swarm(self.daemon.address, "read", 3, 20)
        for client in swarm:
            self.assertIsNotNone(client.ended, "still connected")
            self.assertGreater(client.ended - client.begun, 14)


class Ending(unittest.TestCase):
    CLIENTS = 20

    def test_answers_are_whole_when_the_daemon_ends(self):
        """Status 0 as well, which the end of the context checks."""
        with Daemon() as daemon:
            outcomes = []
            threads = [
                threading.Thread(target=self.ask_until_closed, args=(daemon.address, outcomes))
                for _ in range(self.CLIENTS)
            ]
            for thread in threads:
                thread.start()
            pause(0.5)
            begun = time.monotonic()
            daemon.stop()
            self.assertLess(time.monotonic() - begun, 5)
            for thread in threads:
                thread.join()
        self.assertEqual([outcome for outcome in outcomes if outcome], [])
        self.assertEqual(len(outcomes), self.CLIENTS)

    def ask_until_closed(self, address, outcomes):
        with Connection(address) as connection:
            wrong = ""
            try:
                while not connection.request("GET", "/metrics").closes:
                    pass
            except EOFError:
                wrong = "cut" if connection._buffer else ""
            except BrokenPipeError:
                pass  # asked after it had closed
            except ConnectionResetError:
                wrong = "reset"
            outcomes.append(wrong)


if __name__ == "__main__":
    unittest.main()
