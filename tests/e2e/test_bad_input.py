"""Requests that are wrong are refused by name, and change nothing."""

import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from daemon import Daemon, DaemonCase, container_ids  # noqa: E402

CGROUPS = Path("/sys/fs/cgroup")
CONTAINER = "/cgroups/containers/"
GRAMMAR = "letters, digits, '_', '.' or '-'"


def cgroup_listing():
    """What an ensure or a remove could have changed by mistake."""
    found = []
    for directory in (CGROUPS, CGROUPS / "unified"):
        if directory.is_dir():
            found += [str(entry) for entry in directory.iterdir()]
    return sorted(found)


def nested(depth):
    return b'{"placement":' * depth + b"1" + b"}" * depth


class BadInputCase(DaemonCase):
    """No request of these tests has any effect, neither a survey nor a cgroup."""

    @classmethod
    def make_daemon(cls):
        name = f"surveyd-bad-input-{os.getpid()}"
        return Daemon("--interval", "3600", "--cgroup-name", name, unix_socket=cls.socket_path)

    def setUp(self):
        self.listing = cgroup_listing()
        self.before = self.daemon.generation()

    def tearDown(self):
        self.assertEqual(self.daemon.generation(), self.before)
        self.assertEqual(cgroup_listing(), self.listing)

    def send(self, method, target, headers=(), body=None):
        return self.daemon.request(method, target, headers, body)

    def assert_refused(self, answer, status, *words):
        detail = self.assert_problem(answer, status)["detail"]
        for word in words:
            self.assertIn(word, detail)


class Targets(BadInputCase):
    def test_an_unknown_query_parameter_is_400_and_named(self):
        for method, path in (
            ("GET", "/capabilities"),
            ("HEAD", "/metrics"),
            ("GET", "/"),
            ("GET", "/cgroups"),
            ("POST", "/survey"),
            ("POST", "/cgroups/ensure"),
            ("DELETE", CONTAINER + "some-id"),
        ):
            for query in ("colour=red", "colour", "colour=red&force=true", "colour&x"):
                with self.subTest(f"{method} {path}?{query}"):
                    answer = self.send(method, f"{path}?{query}")
                    self.assertEqual(answer.status, 400)
                    if method != "HEAD":
                        self.assert_refused(answer, 400, '"colour"')

    def test_an_escape_in_the_path_of_a_change_is_400(self):
        for method, path in (
            ("POST", "/surve%79"),
            ("POST", "/cgroups%2Fensure"),
            ("POST", "/%73urvey"),
            ("DELETE", CONTAINER + "%61"),
            ("DELETE", "/cgroups/container%73/a"),
        ):
            with self.subTest(f"{method} {path}"):
                self.assert_refused(self.send(method, path), 400)

    def test_another_spelling_of_a_path_is_404(self):
        for path in ("/./survey", "//survey", "/survey/", "/survey;x", "/SURVEY", "/a/../survey"):
            with self.subTest(path):
                self.assert_refused(self.send("POST", path), 404)

    def test_a_fragment_is_not_taken_for_a_path(self):
        self.assertIn(self.send("POST", "/survey#x").status, (400, 404))


class ContainerIds(BadInputCase):
    def remove(self, tail):
        return self.send("DELETE", CONTAINER + tail)

    def test_an_id_outside_the_grammar_is_400(self):
        for tail in ("..", ".", "-a", "_a", ".a", "a,b", "a/b", "a" * 129, "cgroup.procs", "cpu.x"):
            with self.subTest(tail):
                self.assertIn(self.remove(tail).status, (400, 404))

    def test_the_reason_names_the_grammar(self):
        self.assert_refused(self.remove("-a"), 400, GRAMMAR)

    def test_every_id_of_the_corpus_is_taken_or_refused_as_it_says(self):
        # 501, 503: taken, and no cgroup file system to look for it in.
        statuses = {"valid": (200, 501, 503), "refuse": (400, 404)}
        statuses["either"] = statuses["valid"] + statuses["refuse"]
        for tail, expected in container_ids():
            with self.subTest(tail):
                self.assertIn(self.remove(tail).status, statuses[expected])


class Bodies(BadInputCase):
    CHANGES = (("POST", "/cgroups/ensure"), ("POST", "/survey"))

    def assert_body_refused(self, body, *words, changes=CHANGES):
        for method, path in changes:
            with self.subTest(f"{method} {path} {body[:60]}"):
                answer = self.send(method, path, {"Content-Type": "application/json"}, body)
                self.assert_refused(answer, 400, *words)

    def test_an_unknown_field_is_400_and_named(self):
        for body in (b'{"colour": "red"}', b'{"colour": null}', b'{"colour": {"placement": 1}}'):
            self.assert_body_refused(body, '"colour"')

    def test_an_unknown_field_beside_known_ones_is_400_and_named(self):
        body = b'{"placement": "auto", "evacuate": "self", "colour": 1}'
        self.assert_body_refused(body, '"colour"', changes=self.CHANGES[:1])

    def test_a_name_is_quoted_so_that_it_cannot_break_the_answer(self):
        for name in (r"\u001b[2J", r"\n\nHTTP/1.1 200 OK", r"\ud83d\ude00", r"a\"b", ""):
            self.assert_body_refused(b'{"%s": 1}' % name.encode(), "unknown member")

    def test_a_wrong_value_is_400_and_says_which_there_are(self):
        for value in (b'"hosts"', b'"HOST"', b'""', b"null", b"1", b"true", b"{}", b'["host"]'):
            body = b'{"placement": %s}' % value
            self.assert_body_refused(body, '"placement"', '"scope"', changes=self.CHANGES[:1])

    def test_a_wrong_evacuation_is_400(self):
        for value in (b'"none"', b"null", b"false", b"[]"):
            body = b'{"evacuate": %s}' % value
            self.assert_body_refused(body, '"evacuate"', changes=self.CHANGES[:1])

    def test_a_duplicate_field_is_400_and_named(self):
        for body in (
            b'{"placement": "auto", "placement": "host"}',
            b'{"placement": "auto", "placement": "auto"}',
            b'{"placement": "auto", "pl\\u0061cement": "host"}',
        ):
            self.assert_body_refused(body, '"placement"', "twice", changes=self.CHANGES[:1])

    def test_json_that_is_too_deep_is_400(self):
        for body in (nested(17), b"[" * 20 + b"]" * 20, b"[" * 16_000, b'{"a":' * 3000):
            self.assert_body_refused(body, "deeper")

    def test_what_is_not_an_object_is_400(self):
        for body in (b"[]", b"null", b"true", b"1", b'"auto"', b'[{"placement": "auto"}]'):
            self.assert_body_refused(body, "object")

    def test_what_is_not_json_is_400(self):
        for body in (
            b"placement=auto",
            b"{",
            b'{"placement"}',
            b'{"placement": "auto",}',
            b"{'placement': 'auto'}",
            b'{"placement": "auto"} x',
            b'{"placement": "auto"}{}',
            b'{"placement": NaN}',
            b'\xff\xfe{\x00}\x00',
            b'{"placement": "\xff"}',
            b'{"placement": "\x01"}',
            b"{} // comment",
            b"\x00",
        ):
            self.assert_body_refused(body, "not JSON")

    def test_a_byte_order_mark_is_taken_or_refused_but_never_crashes(self):
        answer = self.send("POST", "/cgroups/ensure", body=b"\xef\xbb\xbf[]")
        self.assert_refused(answer, 400)

    def test_a_removal_knows_no_member(self):
        self.assert_refused(self.send("DELETE", CONTAINER + "a", body=b'{"x": 1}'), 400, '"x"')


if __name__ == "__main__":
    unittest.main()
