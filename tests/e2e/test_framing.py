"""Where request smuggling starts: a request that could be read in two ways is not read at all."""

import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import DaemonCase  # noqa: E402

ANSWER = re.compile(rb"^HTTP/1\.1 \d{3} ", re.MULTILINE)
CHUNKED = "Transfer-Encoding: chunked"

# What follows the request line, one string a line; @ stands for our own authority.
BAD_FIELDS = {
    "a bare CR": ["Host: @", "X: a\rb"],
    "a bare LF after a field": ["Host: @", "X: a\nY: b"],
    "a NUL in a value": ["Host: @", "X: a\0b"],
    "a control character in a value": ["Host: @", "X: a\x01b"],
    "a folded value": ["Host: @", "X: a", " b"],
    "a fold of nothing": ["Host: @", "X:", " b"],
    "a fold into nothing": ["Host: @", "X: a", " "],
    "white space before the colon": ["Host: @", "X : a"],
    "white space before the first name": [" X: a", "Host: @"],
    "an empty name": ["Host: @", ": a"],
    "a name that is no token": ["Host: @", "X(y): a"],
    "a name outside of ASCII": ["Host: @", "X\xe9: a"],
    "a line without a colon": ["Host: @", "X"],
    "two Host": ["Host: @", "Host: @"],
    "no Host": ["X: a"],
    "two Origin": ["Host: @", "Origin: a", "Origin: b"],
    "two Authorization": ["Host: @", "Authorization: a", "Authorization: b"],
}
BAD_BODIES = {
    "two Content-Length": (["Content-Length: 2", "Content-Length: 2"], "{}"),
    "two Content-Length that differ": (["Content-Length: 2", "Content-Length: 3"], "{}"),
    "a list of Content-Length": (["Content-Length: 2, 2"], "{}"),
    "a Content-Length with a sign": (["Content-Length: +2"], "{}"),
    "a negative Content-Length": (["Content-Length: -2"], "{}"),
    "a hexadecimal Content-Length": (["Content-Length: 0x2"], "{}"),
    "a Content-Length that overflows": (["Content-Length: 18446744073709551618"], "{}"),
    "an empty Content-Length": (["Content-Length:"], ""),
    "Content-Length before chunks": (["Content-Length: 5", CHUNKED], "0\r\n\r\n"),
    "Content-Length after chunks": ([CHUNKED, "Content-Length: 5"], "0\r\n\r\n"),
    "two Transfer-Encoding": ([CHUNKED, CHUNKED], "0\r\n\r\n"),
    "a list of encodings": (["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"),
    "chunked twice": (["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"),
    "an identity encoding": (["Transfer-Encoding: identity"], ""),
    "an encoding with a parameter": (["Transfer-Encoding: chunked;x"], "0\r\n\r\n"),
    "an encoding in quotes": (['Transfer-Encoding: "chunked"'], "0\r\n\r\n"),
    "an empty encoding": (["Transfer-Encoding:"], ""),
    "two Expect": (["Expect: 100-continue", "Expect: 100-continue", "Content-Length: 2"], "{}"),
    "a chunk size that is no number": ([CHUNKED], "x\r\n\r\n"),
    "a chunk size with a sign": ([CHUNKED], "+2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size in the C notation": ([CHUNKED], "0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size that overflows": ([CHUNKED], "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": ([CHUNKED], "1\r\n{}\r\n0\r\n\r\n"),
    "a chunk that ends in a bare LF": ([CHUNKED], "2\n{}\r\n0\r\n\r\n"),
    "a chunk without its line end": ([CHUNKED], "2\r\n{}0\r\n\r\n"),
}
BAD_LINES = {
    "a bare LF": "GET / HTTP/1.1\nHost: @\r\n\r\n",
    "too many blanks": "GET  /  HTTP/1.1\r\nHost: @\r\n\r\n",
    "a tab": "GET\t/\tHTTP/1.1\r\nHost: @\r\n\r\n",
    "no target": "GET HTTP/1.1\r\nHost: @\r\n\r\n",
    "no version": "GET /\r\nHost: @\r\n\r\n",
    "a lower-case protocol": "GET / http/1.1\r\nHost: @\r\n\r\n",
    "a version with a blank after it": "GET / HTTP/1.1 \r\nHost: @\r\n\r\n",
    "a method that is no token": "G(T / HTTP/1.1\r\nHost: @\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a control character in the target": "GET /a\x01 HTTP/1.1\r\nHost: @\r\n\r\n",
    "DEL in the target": "GET /a\x7f HTTP/1.1\r\nHost: @\r\n\r\n",
    "NUL in the target": "GET /a\0b HTTP/1.1\r\nHost: @\r\n\r\n",
    "a byte beyond ASCII in the target": "GET /\xe9 HTTP/1.1\r\nHost: @\r\n\r\n",
}
# Request line without its version: status.
FOREIGN = {
    "OPTIONS *": 405,
    "GET *": 400,
    "CONNECT 127.0.0.1:1": 405,
    "GET http://evil.example/": 421,
    "BREW /": 501,
}


class Framing(DaemonCase):
    def send(self, text):
        """All that the daemon answers until it closes."""
        with self.daemon.connect() as connection:
            connection.send(text.replace("@", connection.host).encode("latin-1"))
            first = connection.receive()
            self.assertTrue(first.closes, f"{first.status} leaves the connection open")
            rest = connection.rest()
            self.assertFalse(connection.was_reset)
            self.assertFalse(ANSWER.findall(rest), "answered twice")
            return first

    def assert_refused(self, text, *statuses):
        self.assertIn(self.send(text).status, statuses)

    def test_a_doubtful_field_is_400_and_closes(self):
        for name, lines in BAD_FIELDS.items():
            with self.subTest(name):
                self.assert_refused("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]), 400)

    def test_a_doubtful_length_or_encoding_is_400_and_closes(self):
        for name, (lines, body) in BAD_BODIES.items():
            with self.subTest(name):
                head = "\r\n".join(["POST /survey HTTP/1.1", "Host: @", *lines, "", ""])
                # A length beyond all bounds may as well be called too large.
                self.assert_refused(head + body, 400, 413)

    def test_chunks_in_http_1_0_are_400_and_close(self):
        head = f"POST /survey HTTP/1.0\r\nHost: @\r\n{CHUNKED}\r\n\r\n"
        self.assert_refused(head + "0\r\n\r\n", 400)

    def test_a_doubtful_request_line_is_refused_and_closes(self):
        for name, text in BAD_LINES.items():
            with self.subTest(name):
                self.assert_refused(text, 400, 501, 505)

    def test_a_target_or_method_that_is_not_for_us_is_refused_and_closes(self):
        for line, status in FOREIGN.items():
            with self.subTest(line):
                self.assert_refused(f"{line} HTTP/1.1\r\nHost: @\r\n\r\n", status)

    def test_nothing_after_a_refused_request_is_taken_for_another(self):
        follower = "GET /healthz HTTP/1.1\r\nHost: @\r\n\r\n"
        self.assert_refused("GET / HTTP/1.1\r\nX : a\r\n\r\n" + follower * 20, 400)

    def test_a_head_that_ends_in_a_bare_lf_is_never_answered_as_a_request(self):
        with self.daemon.connect() as connection:
            connection.send(f"GET / HTTP/1.1\r\nHost: {connection.host}\r\n\n".encode())
            connection.finish_sending()
            answers = connection.rest()
        self.assertNotIn(b"HTTP/1.1 200", answers)

    def test_one_empty_line_before_a_request_is_no_request(self):
        with self.daemon.connect() as connection:
            connection.send(b"\r\n" + connection.request_bytes("GET", "/healthz"))
            self.assertIn(connection.receive().status, (200, 400))


if __name__ == "__main__":
    unittest.main()
